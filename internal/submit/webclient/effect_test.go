package webclient

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// rawServer counts connections and request bytes, and ends each as told.
type rawServer struct {
	URL string

	mu    sync.Mutex
	conns int
	got   bytes.Buffer
}

func (s *rawServer) count() (conns int, got string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns, s.got.String()
}

func (s *rawServer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.Write(b)
}

// serveRaw answers each connection with handle, which reads what it likes; what it
// reads is recorded.
func serveRaw(t *testing.T, handle func(conn net.Conn, r io.Reader)) *rawServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{URL: "http://" + l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns++
			s.mu.Unlock()
			wg.Go(func() {
				defer func() { _ = conn.Close() }()
				handle(conn, io.TeeReader(conn, s))
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return s
}

func send(t *testing.T, target string, body string, left func() time.Duration) (*Page, error) {
	t.Helper()
	return newClient(t).Visit(NewHosts(target), 0).Send(t.Context(),
		Effect{Method: "POST", URL: target, ContentType: "application/x-www-form-urlencoded", Body: []byte(body)}, left)
}

func wantClass(t *testing.T, err error, class string) {
	t.Helper()
	if fault, ok := errors.AsType[*Fault](err); !ok || fault.Class != class {
		t.Errorf("error = %v, want a fault of class %s", err, class)
	}
}

func TestSendPostsOnceOnItsOwnConnection(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s close=%t key=%q type=%s origin=%s", r.Method, b, r.Close, r.Header.Get("Idempotency-Key"), r.Header.Get("Content-Type"), r.Header.Get("Origin"))
	})
	page := newClient(t).Visit(NewHosts(s.URL), 0)
	p, err := page.Send(t.Context(), Effect{Method: "POST", URL: s.URL, ContentType: "text/plain", Body: []byte("a=b"), Referer: s.URL + "/add"}, forever)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Text(), `POST a=b close=true key="" type=text/plain origin=`+s.URL; got != want {
		t.Errorf("the server saw %s, want %s", got, want)
	}
}

func TestSendNeverRepeatsWhatTheServerCut(t *testing.T) {
	for name, handle := range map[string]func(net.Conn, io.Reader){
		"after one byte":     func(_ net.Conn, r io.Reader) { _, _ = r.Read(make([]byte, 1)) },
		"after the request":  func(_ net.Conn, r io.Reader) { readRequest(r) },
		"within the answer":  func(c net.Conn, r io.Reader) { readRequest(r); fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Le") },
		"with nonsense":      func(c net.Conn, r io.Reader) { readRequest(r); fmt.Fprint(c, "220 ready\r\n") },
		"with endless lines": func(c net.Conn, r io.Reader) { readRequest(r); fmt.Fprint(c, "HTTP/1.1 200 OK\r\nX: "); flood(c) },
	} {
		for _, method := range []string{"POST", "GET"} {
			s := serveRaw(t, handle)
			_, err := newClient(t).Visit(NewHosts(s.URL), 0).Send(t.Context(), Effect{Method: method, URL: s.URL, Body: []byte("a=b")}, forever)
			wantClass(t, err, directory.ClassInDoubt)
			if conns, _ := s.count(); conns != 1 {
				t.Errorf("%s, %s: %d connections, want 1", name, method, conns)
			}
		}
	}
}

func readRequest(r io.Reader) {
	req, err := http.ReadRequest(bufio.NewReader(r))
	if err == nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
}

func flood(c net.Conn) {
	for {
		if _, err := c.Write(bytes.Repeat([]byte("x"), 1<<16)); err != nil {
			return
		}
	}
}

func TestSendIsNotSentWhenNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	_, err = send(t, "http://"+l.Addr().String(), "a=b", forever)
	wantClass(t, err, directory.ClassNotSent)
}

func TestSendIsNotSentWhenTheHandshakeFails(t *testing.T) {
	s := serveRaw(t, func(c net.Conn, r io.Reader) {
		_, _ = r.Read(make([]byte, 1024))
		fmt.Fprint(c, "HTTP/1.1 400 this is no TLS\r\n\r\n")
	})
	_, err := send(t, strings.Replace(s.URL, "http:", "https:", 1), "a=b", forever)
	wantClass(t, err, directory.ClassNotSent)

	secure := httptest.NewTLSServer(http.NotFoundHandler())
	secure.Config.ErrorLog = quiet
	t.Cleanup(secure.Close)
	_, err = send(t, secure.URL, "a=b", forever) // a certificate that nobody vouches for
	wantClass(t, err, directory.ClassNotSent)
}

// quiet keeps the handshakes that fail on purpose out of the output.
var quiet = log.New(io.Discard, "", 0)

func TestSendSpeaksTLSUnderTheDeadline(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	s.Config.ErrorLog = quiet
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	c := newClient(t, func(cfg *Config) { cfg.RootCAs = pool })
	e := Effect{Method: "POST", URL: s.URL, Body: []byte("a=b")}
	p, err := c.Visit(NewHosts(s.URL), 0).Send(t.Context(), e, forever)
	if err != nil || p.Text() != "a=b" {
		t.Fatalf("Send = %v, %v", p, err)
	}
	// The time runs out within the handshake, before the request.
	var over atomic.Bool
	c.tls.VerifyConnection = func(tls.ConnectionState) error { over.Store(true); return nil }
	_, err = c.Visit(NewHosts(s.URL), 0).Send(t.Context(), e, func() time.Duration {
		if over.Load() {
			return 0
		}
		return time.Hour
	})
	wantClass(t, err, directory.ClassNotSent)
	if !errors.Is(err, ErrDeadline) {
		t.Errorf("error = %v, want ErrDeadline", err)
	}
}

func TestSendWritesNothingOnceTheDeadlineIsOver(t *testing.T) {
	s := serveRaw(t, func(_ net.Conn, r io.Reader) { _, _ = io.Copy(io.Discard, r) })
	for _, allowed := range []int32{0, 1, 2} { // looks at the clock before it is over
		var asked atomic.Int32
		_, err := send(t, s.URL, "a=b", func() time.Duration {
			if asked.Add(1) > allowed {
				return -time.Second
			}
			return time.Hour
		})
		wantClass(t, err, directory.ClassNotSent)
		if !errors.Is(err, ErrDeadline) {
			t.Errorf("error = %v, want ErrDeadline", err)
		}
	}
	if _, got := s.count(); got != "" {
		t.Errorf("the server got %q", got)
	}
}

func TestSendStopsInTheMiddleOfABodyAtItsDeadline(t *testing.T) {
	ended := make(chan error, 1)
	s := serveRaw(t, func(_ net.Conn, r io.Reader) {
		_, err := io.Copy(io.Discard, r)
		ended <- err
	})
	var asked atomic.Int32
	body := strings.Repeat("x", 4<<20)
	_, err := send(t, s.URL, body, func() time.Duration {
		if asked.Add(1) > 20 {
			return 0
		}
		return time.Hour
	})
	wantClass(t, err, directory.ClassInDoubt)
	if !errors.Is(err, ErrDeadline) {
		t.Errorf("error = %v, want ErrDeadline", err)
	}
	if err := <-ended; err == nil {
		t.Error("the connection ended as if the request were complete, want a reset")
	}
	if _, got := s.count(); len(got) >= 20*maxWrite || len(got) == 0 {
		t.Errorf("the server got %d bytes, want some, and no more than was written before the deadline", len(got))
	}
}

func TestSendEndsAtItsDeadlineWhenTheServerIsSilent(t *testing.T) {
	for _, reads := range []bool{false, true} {
		over := make(chan struct{})
		s := serveRaw(t, func(_ net.Conn, r io.Reader) {
			if reads {
				_, _ = io.Copy(io.Discard, r)
			}
			<-over
		})
		body := strings.Repeat("x", 8<<20) // more than both kernels hold
		end := time.Now().Add(time.Second)
		_, err := send(t, s.URL, body, func() time.Duration { return time.Until(end) })
		late := time.Since(end)
		close(over)
		wantClass(t, err, directory.ClassInDoubt)
		if late > 5*time.Second || late < -10*time.Millisecond {
			t.Errorf("server reads %t: ended %v after the deadline", reads, late)
		}
	}
}

func TestSendCancelledAfterTheFirstByteIsInDoubt(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the lease is lost")
	s := serveRaw(t, func(_ net.Conn, r io.Reader) {
		_, _ = r.Read(make([]byte, 1))
		cancel(why)
		_, _ = io.Copy(io.Discard, r)
	})
	_, err := newClient(t).Visit(NewHosts(s.URL), 0).Send(ctx, Effect{Method: "POST", URL: s.URL, Body: []byte("a=b")}, forever)
	wantClass(t, err, directory.ClassInDoubt)
	if !errors.Is(err, why) {
		t.Errorf("error = %v, want the reason of the cancellation", err)
	}
}

func TestSendFollowsToThePageButNeverSendsTheBodyAgain(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var mu sync.Mutex
		var seen []string
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			mu.Lock()
			seen = append(seen, fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, b))
			mu.Unlock()
			if r.URL.Path == "/add" {
				http.SetCookie(w, &http.Cookie{Name: "flash", Value: "thanks", Path: "/"})
				http.Redirect(w, r, "/thanks", status)
				return
			}
			fmt.Fprint(w, r.Header.Get("Cookie"))
		})
		p, err := send(t, s.URL+"/add", "a=b", forever)
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		got := strings.Join(seen, ", ")
		mu.Unlock()
		want := "POST /add a=b, GET /thanks "
		if status >= 307 {
			want = "POST /add a=b"
		}
		if got != want {
			t.Errorf("%d: the server saw %q, want %q", status, got, want)
		}
		if status >= 307 && p.Status != status {
			t.Errorf("%d: answered as %d", status, p.Status)
		}
		if status < 307 && p.Text() != "flash=thanks" {
			t.Errorf("%d: the page after the post got the cookies %q", status, p.Text())
		}
	}
}

func TestSendIsInDoubtWhenThePageAfterItCannotBeRead(t *testing.T) {
	for _, to := range []string{"http://169.254.169.254/", "/add", "http://127.0.0.1:1/", "::"} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		})
		_, err := send(t, s.URL+"/add", "a=b", forever)
		wantClass(t, err, directory.ClassInDoubt)
	}
}

func TestSendToAHostOutsideTheCatalogIsBlocked(t *testing.T) {
	var hits atomic.Int32
	s := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	_, err := newClient(t).Visit(NewHosts("https://directory.example/"), 0).Send(t.Context(), Effect{Method: "POST", URL: s.URL}, forever)
	wantClass(t, err, directory.ClassBlocked)
	if hits.Load() != 0 {
		t.Error("it was sent")
	}
}

func TestSendKeepsTheAnswerOfAServerThatDoesNotReadToTheEnd(t *testing.T) {
	s := serveRaw(t, func(c net.Conn, r io.Reader) {
		br := bufio.NewReader(r)
		for line, _ := br.ReadString('\n'); line != "\r\n" && line != ""; line, _ = br.ReadString('\n') {
		}
		fmt.Fprint(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		_, _ = io.Copy(io.Discard, br)
	})
	p, err := send(t, s.URL, strings.Repeat("x", 1<<20), forever)
	if err != nil {
		t.Fatal(err)
	}
	if p.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("status = %d, want 413", p.Status)
	}
}
