package middleware

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/directorybolt/directorybolt/internal/ratelimit"
)

// problem is an RFC 9457 document, with the members of the IETF's draft on quotas.
type problem struct {
	Type     string   `json:"type"`
	Title    string   `json:"title"`
	Status   int      `json:"status"`
	Detail   string   `json:"detail"`
	Code     string   `json:"code"`
	Violated []string `json:"violated-policies"`
}

// refusal is a kind of problem that a limit has.
type refusal struct {
	status      int
	code, title string
	kind        string // in the registry of problem types
	detail      func(p ratelimit.Policy, wait int) string
}

var (
	limitReached = refusal{
		http.StatusTooManyRequests, "RATE_LIMITED", "Too many requests", "quota-exceeded",
		func(p ratelimit.Policy, wait int) string {
			return fmt.Sprintf("the limit is %s in %s; try again in %s",
				count(p.Limit, "request"), count(seconds(p.Window), "second"), count(wait, "second"))
		},
	}
	failuresReached = refusal{
		http.StatusTooManyRequests, "RATE_LIMITED", "Too many requests", "quota-exceeded",
		func(p ratelimit.Policy, wait int) string {
			return fmt.Sprintf("%s failed within %s, as many as may; try again in %s",
				count(p.Limit, "attempt"), count(seconds(p.Window), "second"), count(wait, "second"))
		},
	}
	noTurn = refusal{
		http.StatusServiceUnavailable, "UNAVAILABLE", "Not available for the moment", "temporary-reduced-capacity",
		func(_ ratelimit.Policy, wait int) string {
			return fmt.Sprintf("attempts from this address are made one after the other, and those before this one take too long; try again in %s", count(wait, "second"))
		},
	}
	unavailable = refusal{
		http.StatusServiceUnavailable, "UNAVAILABLE", "Not available for the moment", "temporary-reduced-capacity",
		func(_ ratelimit.Policy, wait int) string {
			return fmt.Sprintf("requests of this kind cannot be counted for the moment; try again in %s", count(wait, "second"))
		},
	}
)

// refuse answers with a problem. No cache may keep it (RFC 6585).
func (p *limited) refuse(w http.ResponseWriter, d ratelimit.Decision, why refusal) {
	wait := d.RetryAfter()
	body, _ := json.Marshal(problem{
		Type:  "https://iana.org/assignments/http-problem-types#" + why.kind,
		Title: why.title, Status: why.status, Code: why.code, Detail: why.detail(*d.Policy, wait), Violated: []string{d.Policy.Name},
	}) // texts and numbers: it never fails
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Retry-After", strconv.Itoa(wait))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(why.status)
	_, _ = w.Write(body) // a client that hung up is no fault of ours
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}
