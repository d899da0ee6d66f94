package webhook

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/alert/alerttest"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

type service struct {
	*alerttest.Web
	to *Notifier
}

func newService(t testing.TB) service {
	w := alerttest.NewWeb(t, map[alerttest.Behaviour]alerttest.Reply{alerttest.Accept: {Status: http.StatusNoContent}})
	n, err := New(Config{URL: w.URL + "/hidden-path", Secret: secret, PublicURL: "https://bolt.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return service{w, n}
}

func (s service) Notifier() alert.Notifier { return s.to }
func (s service) Secrets() []string {
	return []string{"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "/hidden-path"}
}

func (s service) Received() (texts []string) {
	for _, r := range s.Accepted() {
		texts = append(texts, r.Body)
	}
	return texts
}

func TestNotifier(t *testing.T) {
	alerttest.Run(t, func(t testing.TB) alerttest.Service { return newService(t) })
}

// TestTheSignatureIsThatOfTheStandard has the example of the specification.
func TestTheSignatureIsThatOfTheStandard(t *testing.T) {
	n, err := New(Config{Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	h := n.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if got, want := h.Get("webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func TestReceiversWithTheStandardsLibraryVerify(t *testing.T) {
	s := newService(t)
	p := alerttest.Post()
	p.Late, p.Repeat = time.Hour, p.At.Add(-time.Minute)
	for range 2 {
		if got := s.to.Send(t.Context(), p); got.Outcome != alert.Delivered {
			t.Fatalf("receipt %+v", got)
		}
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s.Accepted() {
		if err := verifier.Verify([]byte(r.Body), r.Header); err != nil {
			t.Errorf("verify: %v", err)
		}
		if err := verifier.Verify([]byte(strings.Replace(r.Body, "12", "13", 1)), r.Header); err == nil {
			t.Error("a changed body verifies")
		}
		if got := r.Header.Get("webhook-id"); got != p.ID.String() {
			t.Errorf("webhook-id %s, want that of the delivery each time", got)
		}
		var got struct {
			Type      string    `json:"type"`
			Timestamp time.Time `json:"timestamp"`
			Data      struct {
				Kind, Severity, Link string
				Count                int64
				LateSeconds          int64     `json:"late_seconds"`
				MayRepeat            time.Time `json:"may_repeat"`
				ValueCents           int64     `json:"value_cents"`
			}
		}
		if err := json.Unmarshal([]byte(r.Body), &got); err != nil {
			t.Fatal(err)
		}
		d := got.Data
		if got.Type != "alert.first" || d.Kind != "dead_letters" || d.Count != 12 || d.LateSeconds != 3600 || d.ValueCents != 178800 ||
			!d.MayRepeat.Equal(p.Repeat) || d.Link != "https://bolt.example.com" || !got.Timestamp.Equal(p.Message.LastAt) {
			t.Errorf("received %+v", got)
		}
	}
}

func TestASecretThatReceiversCouldNotReadIsRefused(t *testing.T) {
	for _, bad := range []string{"", "whsec_", "whsec_!!", "correct horse battery staple"} {
		if _, err := New(Config{Secret: bad}); err == nil || len(bad) > 6 && strings.Contains(err.Error(), bad) {
			t.Errorf("secret %q: error %v, want one that does not repeat it", bad, err)
		}
	}
	if _, err := New(Config{Secret: base64.StdEncoding.EncodeToString([]byte("24 bytes without prefix.."))}); err != nil {
		t.Error(err)
	}
}
