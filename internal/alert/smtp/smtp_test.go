package smtp

import (
	"encoding/base64"
	"io"
	"mime"
	"net/mail"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/alert/alerttest"
)

type service struct {
	*server
	testing.TB
	to *Notifier
}

func newService(t testing.TB) service {
	s := newServer(t, func(s *server) { s.starttls = true })
	return service{s, t, notifierTo(t, s, "smtp://ann%40example.com:hunter2hunter2@"+s.Addr().String())}
}

func notifierTo(t testing.TB, s *server, address string) *Notifier {
	t.Helper()
	n, err := New(Config{URL: address, To: []string{"ops@example.com", "cto@example.com"}, Roots: s.roots})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (s service) Notifier() alert.Notifier     { return s.to }
func (s service) Secrets() []string            { return []string{"hunter2hunter2"} }
func (s service) Leave()                       { s.leave() }
func (s service) Behave(b alerttest.Behaviour) { s.behave(b) }

// Received are the mails as people see them: subject and text.
func (s service) Received() (texts []string) {
	for _, m := range s.received() {
		parsed := parse(s.TB, m)
		texts = append(texts, parsed.subject+"\n"+parsed.text)
	}
	return texts
}

type parsedMail struct {
	mail.Header
	subject, text string
}

func parse(t testing.TB, raw string) parsedMail {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	if err != nil {
		t.Fatal(err)
	}
	return parsedMail{m.Header, subject, string(text)}
}

func TestNotifier(t *testing.T) {
	alerttest.Run(t, func(t testing.TB) alerttest.Service { return newService(t) })
}

func TestMailIsWellFormed(t *testing.T) {
	s := newService(t)
	for _, p := range []alert.Post{alerttest.Post(), alerttest.Hostile()} {
		if got := s.to.Send(t.Context(), p); got.Outcome != alert.Delivered {
			t.Fatalf("receipt %+v", got)
		}
	}
	for _, raw := range s.received() {
		m := parse(t, raw)
		for name, want := range map[string]string{
			"From": "DirectoryBolt <ann@example.com>", "To": "ops@example.com, cto@example.com",
			"Message-Id": "<" + alerttest.Post().ID.String() + "@directorybolt.invalid>", "Auto-Submitted": "auto-generated", "Bcc": "",
		} {
			if got := m.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if _, err := m.Date(); err != nil {
			t.Error(err)
		}
		for line := range strings.SplitSeq(raw, "\r\n") {
			if len(line) > 998 {
				t.Errorf("a line of %d bytes", len(line))
			}
		}
	}
	if s.secured != 2 || len(s.logins) != 2 {
		t.Errorf("%d sessions with TLS, %d logins, want 2 of each", s.secured, len(s.logins))
	}
}

// TestNothingGoesInTheClear: STARTTLS or TLS from the start, or this machine.
func TestNothingGoesInTheClear(t *testing.T) {
	for name, c := range map[string]struct {
		scheme string
		server func(*server)
		want   alert.Outcome
	}{
		"TLS from the start":                {"smtps", func(s *server) { s.implicit = true }, alert.Delivered},
		"STARTTLS":                          {"smtp", func(s *server) { s.starttls = true }, alert.Delivered},
		"without either, on this machine":   {"smtp", func(*server) {}, alert.Delivered},
		"a certificate that nobody vouches": {"smtps", func(s *server) { s.implicit, s.roots = true, nil }, alert.Closed},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, c.server)
			n := notifierTo(t, s, c.scheme+"://ann:hunter2hunter2@"+s.Addr().String())
			if got := n.Send(t.Context(), alerttest.Post()); got.Outcome != c.want {
				t.Errorf("receipt %+v, want %s", got, c.want)
			}
		})
	}
	t.Run("without either, elsewhere", func(t *testing.T) {
		s := newServer(t, nil)
		n := notifierTo(t, s, "smtp://"+s.Addr().String())
		n.host = "mail.example.com" // what the settings would say; the address stays this machine's
		got := n.Send(t.Context(), alerttest.Post())
		if got.Outcome != alert.Closed || len(s.received()) != 0 {
			t.Errorf("receipt %+v, %d mails", got, len(s.received()))
		}
	})
}

func TestAWrongPasswordClosesTheChannel(t *testing.T) {
	s := newServer(t, func(s *server) { s.starttls = true })
	got := notifierTo(t, s, "smtp://ann:wrongwrongwrong@"+s.Addr().String()).Send(t.Context(), alerttest.Post())
	if got.Outcome != alert.Closed || strings.Contains(got.Cause, "wrongwrongwrong") || strings.Contains(got.Cause, base64.StdEncoding.EncodeToString([]byte("\x00ann\x00wrongwrongwrong"))) {
		t.Errorf("receipt %+v, want closed, without the password", got)
	}
}

func TestAnUnknownReceiverCostsTheOthersNothing(t *testing.T) {
	s := newServer(t, func(s *server) { s.refuse = "cto@" })
	got := notifierTo(t, s, "smtp://"+s.Addr().String()).Send(t.Context(), alerttest.Post())
	if got.Outcome != alert.Delivered || !strings.Contains(got.Cause, "cto@example.com") || len(s.received()) != 1 {
		t.Errorf("receipt %+v, %d mails", got, len(s.received()))
	}
}

func TestAddressesAreRead(t *testing.T) {
	for address, want := range map[string]string{
		"smtp://mail.example.com":                        "mail.example.com:587 directorybolt@mail.example.com",
		"smtps://ann%40example.com:pw@mail.example.com":  "mail.example.com:465 ann@example.com",
		"smtp://mail.example.com:25?from=a@b.example":    "mail.example.com:25 a@b.example",
		"smtp://mail.example.com:25?from=a%0d%0aBcc:c@d": "mail.example.com:25 a  Bcc:c@d",
	} {
		n, err := New(Config{URL: address})
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if got := n.address + " " + n.from; got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	for _, bad := range []string{"", "mail.example.com", "http://mail.example.com", "smtp://"} {
		if _, err := New(Config{URL: bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
