package smtp

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert/alerttest"
)

// server is a mail server on this machine, as far as a client that sends alerts sees
// one, that behaves as it is told.
type server struct {
	net.Listener
	cert     tls.Certificate
	roots    *x509.CertPool
	implicit bool   // TLS from the start
	starttls bool   // offers STARTTLS
	refuse   string // a receiver that is unknown here

	mu        sync.Mutex
	behaviour alerttest.Behaviour
	mails     []string
	conns     map[net.Conn]bool
	logins    []string
	secured   int // sessions that took STARTTLS
}

func newServer(t testing.TB, change func(*server)) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Listener: ln, behaviour: alerttest.Accept, conns: map[net.Conn]bool{}}
	s.certify(t)
	if change != nil {
		change(s)
	}
	go s.accept()
	t.Cleanup(s.leave)
	return s
}

func (s *server) certify(t testing.TB) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	shape := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, shape, shape, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(leaf)
}

func (s *server) leave() {
	_ = s.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

func (s *server) behave(b alerttest.Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behaviour = b
}

func (s *server) accept() {
	for {
		conn, err := s.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[conn] = true
		behaviour := s.behaviour
		s.mu.Unlock()
		if behaviour == alerttest.CutBefore {
			_ = conn.Close()
			continue
		}
		go s.talk(conn, behaviour)
	}
}

// talk is one session.
func (s *server) talk(conn net.Conn, behaviour alerttest.Behaviour) {
	defer func() { _ = conn.Close() }()
	secure := false
	if s.implicit {
		conn, secure = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{s.cert}}), true
	}
	in := bufio.NewReader(conn)
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\r\n", args...) }
	say("220 mail.example.com")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-mail.example.com")
			if s.starttls && !secure {
				say("250-STARTTLS")
			}
			say("250 AUTH PLAIN")
		case "STARTTLS":
			say("220 go on")
			conn, secure = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{s.cert}}), true
			in = bufio.NewReader(conn)
			s.note(func() { s.secured++ })
		case "AUTH":
			login, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			if err != nil || !strings.HasSuffix(string(login), "\x00hunter2hunter2") {
				say("535 5.7.8 wrong password in %s", rest)
				continue
			}
			s.note(func() { s.logins = append(s.logins, string(login)) })
			say("235 fine")
		case "MAIL":
			if behaviour == alerttest.Throttle {
				say("451 4.7.1 slow down")
				continue
			}
			say("250 fine")
		case "RCPT":
			if behaviour == alerttest.Shut || s.refuse != "" && strings.Contains(rest, s.refuse) {
				say("550 5.1.1 nobody of that name")
				continue
			}
			say("250 fine")
		case "DATA":
			say("354 go on")
			mail, err := readMail(in)
			if err != nil || !s.answer(conn, behaviour, mail) {
				return
			}
		case "QUIT":
			say("221 bye")
			return
		default:
			say("502 what?")
		}
	}
}

func (s *server) note(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// answer says what becomes of a mail; false: nothing more is said.
func (s *server) answer(conn net.Conn, behaviour alerttest.Behaviour, mail string) bool {
	switch behaviour {
	case alerttest.Hang:
		_, _ = conn.Read(make([]byte, 1))
		return false
	case alerttest.CutAfter:
		return false
	case alerttest.Fault:
		fmt.Fprint(conn, "451 4.3.0 disk trouble\r\n")
		return true
	case alerttest.Refuse:
		fmt.Fprint(conn, "554 5.6.0 not well-formed\r\n")
		return true
	}
	s.note(func() { s.mails = append(s.mails, mail) })
	fmt.Fprint(conn, "250 queued\r\n")
	return true
}

func readMail(in *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line == ".\r\n" {
			return b.String(), nil
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}

func (s *server) received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.mails...)
}
