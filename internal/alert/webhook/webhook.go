// Package webhook sends alerts as signed JSON to any address, by Standard Webhooks 1.0:
// the receiver proves who sent a message, when, and drops what it has already.
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/alert/webpost"
)

// Config says who receives, and what both ends know.
type Config struct {
	URL       string // a secret
	Secret    string // whsec_ and base64, or base64 alone
	PublicURL string // where people reach this installation; empty: no link

	now func() time.Time // tests; nil: time.Now
}

// Notifier sends to one address.
type Notifier struct {
	config Config
	key    []byte
}

// New returns a notifier; the secret must be base64, as in the receivers' libraries.
func New(c Config) (*Notifier, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(c.Secret, "whsec_"))
	if err != nil || len(key) == 0 {
		return nil, fmt.Errorf("read the secret of the alert webhook: it is not whsec_ and base64")
	}
	if c.now == nil {
		c.now = time.Now
	}
	return &Notifier{c, key}, nil
}

// Channel is "webhook".
func (*Notifier) Channel() string { return "webhook" }

// Target hashes address and secret.
func (n *Notifier) Target() string { return webpost.Target(n.config.URL, n.config.Secret) }

// Least is everything.
func (*Notifier) Least() alert.Severity { return alert.Info }

// body is what is sent. The type is "alert." and why it is said.
type body struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"` // when it happened
	Data      data      `json:"data"`
}

type data struct {
	alert.Message
	Title       string    `json:"title"`
	Summary     string    `json:"summary"` // the whole message as text
	Commands    []string  `json:"commands,omitempty"`
	Link        string    `json:"link,omitempty"`
	LateSeconds int64     `json:"late_seconds,omitempty"`
	MayRepeat   time.Time `json:"may_repeat,omitzero"` // an attempt whose answer was lost
}

// Send posts once. The id is the same each time the message is tried.
func (n *Notifier) Send(ctx context.Context, p alert.Post) alert.Receipt {
	content := p.Content(n.config.PublicURL)
	text, err := json.Marshal(body{
		Type: "alert." + string(p.Message.Reason), Timestamp: p.Message.LastAt,
		Data: data{
			Message: p.Message, Title: content.Title, Summary: content.Plain(), Commands: content.Commands, Link: content.Link,
			LateSeconds: int64(p.Late.Seconds()), MayRepeat: p.Repeat,
		},
	})
	if err != nil {
		return alert.Receipt{Outcome: alert.Refused, Cause: fmt.Sprintf("the message cannot be written: %v", err)}
	}
	answer, failed := webpost.Post(ctx, n.config.URL, text, n.sign(p.ID.String(), n.config.now(), text))
	if failed != nil {
		return *failed
	}
	return answer.Receipt()
}

// sign makes the headers of Standard Webhooks.
func (n *Notifier) sign(id string, at time.Time, body []byte) http.Header {
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, n.key)
	fmt.Fprintf(mac, "%s.%s.", id, seconds)
	mac.Write(body)
	h := http.Header{}
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", seconds)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h
}
