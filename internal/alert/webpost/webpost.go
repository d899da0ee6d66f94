// Package webpost sends one message to a web service for a notifier: one POST, never
// repeated, never redirected, and told apart afterwards: what surely did not arrive,
// what may have, and what was answered. The address is a secret and is in no error.
package webpost

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/directorybolt/directorybolt/internal/alert"
)

// mostBody is how much of an answer is read; what services say is short.
const mostBody = 1 << 10

// longestPause bounds what a service may ask for: a mistake there must not silence us.
const longestPause = time.Hour

// client has no connection to keep: a message comes once a second at most, and one
// that is sent on a connection the other end just closed would be in doubt.
var client = &http.Client{
	Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DisableKeepAlives:   true,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Answer is what a service said.
type Answer struct {
	Status int
	Body   string        // its beginning, on one line
	After  time.Duration // it asks not to be tried before
}

// Post sends body. Without an answer, failed says what is known; with one it is nil.
func Post(ctx context.Context, address string, body []byte, header http.Header) (a Answer, failed *alert.Receipt) {
	var written atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { written.Store(true) }})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return a, &alert.Receipt{Outcome: alert.Closed, Cause: "the address cannot be read"}
	}
	for name, values := range header {
		request.Header[name] = values
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "DirectoryBolt")
	response, err := client.Do(request)
	if err != nil {
		return a, &alert.Receipt{Outcome: alert.Retry, Doubt: written.Load(), Cause: cause(ctx, err)}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, mostBody))
	if err != nil && response.StatusCode/100 == 2 {
		// It said yes, but not all of it came.
		return a, &alert.Receipt{Outcome: alert.Retry, Doubt: true, Cause: "the answer was cut off: " + cause(ctx, err)}
	}
	return Answer{Status: response.StatusCode, Body: line(string(text)), After: after(response)}, nil
}

// cause is why there is no answer, without the address, which is a secret.
func cause(ctx context.Context, err error) string {
	var address *url.Error
	if errors.As(err, &address) {
		err = address.Err
	}
	if ctx.Err() != nil {
		return "no answer in time"
	}
	return line(err.Error())
}

// after reads Retry-After: seconds or a date.
func after(r *http.Response) time.Duration {
	text := r.Header.Get("Retry-After")
	if text == "" {
		return 0
	}
	d := time.Duration(0)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		d = time.Duration(min(max(seconds, 0), longestPause.Seconds()) * float64(time.Second))
	} else if date, err := http.ParseTime(text); err == nil {
		d = time.Until(date)
	}
	return min(max(d, 0), longestPause)
}

// line is text on one line, without control characters.
func line(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return strings.Join(strings.Fields(text), " ")
}

// String is the answer as people read it.
func (a Answer) String() string {
	if a.Body == "" {
		return fmt.Sprintf("HTTP %d", a.Status)
	}
	return fmt.Sprintf("HTTP %d: %.200s", a.Status, a.Body)
}

// Receipt is what an answer means where the service has no word of its own for it.
func (a Answer) Receipt() alert.Receipt {
	r := alert.Receipt{Cause: a.String(), After: a.After}
	switch {
	case a.Status/100 == 2:
		return alert.Receipt{Outcome: alert.Delivered}
	case a.Status/100 == 3:
		r.Outcome, r.Cause = alert.Closed, fmt.Sprintf("HTTP %d: it redirects elsewhere, which is not followed", a.Status)
	case a.Status == http.StatusTooManyRequests:
		r.Outcome = alert.Retry
		r.After = max(r.After, time.Second)
	case a.Status == http.StatusBadGateway, a.Status == http.StatusGatewayTimeout:
		r.Outcome, r.Doubt = alert.Retry, true // what is behind the gateway may have it
	case a.Status/100 == 5, a.Status == http.StatusRequestTimeout:
		r.Outcome = alert.Retry
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusPaymentRequired, a.Status == http.StatusForbidden,
		a.Status == http.StatusNotFound, a.Status == http.StatusMethodNotAllowed, a.Status == http.StatusGone:
		r.Outcome = alert.Closed
	default:
		r.Outcome = alert.Refused
	}
	return r
}

// Target hashes where a channel leads and with what rights.
func Target(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}
