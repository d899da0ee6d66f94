// Package slack sends alerts to a Slack channel by an incoming webhook. A message is
// Block Kit within all of Slack's limits, checked before it is sent; what was refused
// once is sent as text. Nothing in a message pings anybody or draws a link.
package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/alert/webpost"
)

// Config says where the channel is.
type Config struct {
	URL       string // of the incoming webhook; a secret
	PublicURL string // where people reach this installation; empty: no link
}

// Notifier sends to one webhook.
type Notifier struct{ config Config }

// New returns a notifier.
func New(c Config) *Notifier { return &Notifier{c} }

// Channel is "slack".
func (*Notifier) Channel() string { return "slack" }

// Target hashes the webhook.
func (n *Notifier) Target() string { return webpost.Target(n.config.URL) }

// Least is everything.
func (*Notifier) Least() alert.Severity { return alert.Info }

// Send posts once.
func (n *Notifier) Send(ctx context.Context, p alert.Post) alert.Receipt {
	body, err := json.Marshal(payloadOf(p, n.config.PublicURL))
	if err != nil {
		return alert.Receipt{Outcome: alert.Refused, Cause: fmt.Sprintf("the message cannot be written: %v", err)}
	}
	answer, failed := webpost.Post(ctx, n.config.URL, body, nil)
	if failed != nil {
		return *failed
	}
	return judge(answer)
}

// closed are the words by which Slack says that nothing will be taken on this webhook
// until a person mends it.
var closed = map[string]bool{
	"no_service": true, "no_service_id": true, "no_active_hooks": true, "no_team": true, "team_disabled": true, "team_not_found": true,
	"invalid_token": true, "token_revoked": true, "account_inactive": true, "action_prohibited": true,
	"channel_is_archived": true, "channel_not_found": true, "user_not_found": true, "posting_to_general_channel_denied": true,
}

// refused are the words by which it says that this message is to blame.
var refused = map[string]bool{
	"invalid_payload": true, "invalid_blocks": true, "invalid_blocks_format": true, "invalid_attachments": true, "no_text": true,
	"msg_too_long": true, "msg_blocks_too_long": true, "too_many_attachments": true, "missing_text_or_fallback_or_attachments": true,
}

// judge reads Slack's answer: only 200 with the body ok is a yes, and a refusal may
// come with any status.
func judge(a webpost.Answer) alert.Receipt {
	word, _, _ := strings.Cut(a.Body, " ")
	word = strings.Trim(strings.ToLower(word), ":.")
	r := a.Receipt()
	switch {
	case a.Status == http.StatusOK && a.Body == "ok":
		return alert.Receipt{Outcome: alert.Delivered}
	case closed[word]:
		return alert.Receipt{Outcome: alert.Closed, Cause: a.String()}
	case refused[word]:
		return alert.Receipt{Outcome: alert.Refused, Cause: a.String()}
	case r.Outcome == alert.Delivered: // a page of somebody else, perhaps
		return alert.Receipt{Outcome: alert.Retry, Cause: a.String() + " instead of ok"}
	}
	return r
}

// Probe asks, without a message, whether the webhook takes any: one that does refuses a
// body without text, and one that does not says why. The error is what Slack says.
func (n *Notifier) Probe(ctx context.Context) error {
	answer, failed := webpost.Post(ctx, n.config.URL, []byte("{}"), nil)
	if failed != nil {
		return fmt.Errorf("ask Slack: %s", failed.Cause)
	}
	if r := judge(answer); r.Outcome != alert.Refused && r.Outcome != alert.Delivered {
		return fmt.Errorf("ask Slack: %s", r.Cause)
	}
	return nil
}
