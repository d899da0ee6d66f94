package webclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	robotsAge     = time.Hour
	robotsCached  = 1000 // origins that are remembered
	robotsTimeout = 15 * time.Second
)

// RobotsError says that a host's robots.txt cannot be read now, and so nothing of
// the host may be (RFC 9309, "unreachable").
type RobotsError struct {
	Origin     string
	RetryAfter time.Duration // what the host asked for, if it did
	Err        error
}

func (e *RobotsError) Error() string {
	return fmt.Sprintf("read robots.txt of %s: %v", e.Origin, e.Err)
}

func (e *RobotsError) Unwrap() error { return e.Err }

// robots remembers the rules of origins.
type robots struct {
	now func() time.Time

	mu    sync.Mutex
	known map[string]robotsEntry
}

type robotsEntry struct {
	rules robotsRules
	until time.Time
}

func newRobots() *robots { return &robots{now: time.Now, known: map[string]robotsEntry{}} }

// Allowed reports whether the robots.txt of the URL's origin lets us visit it. The
// error is a *[RobotsError] when the file exists for all we know but cannot be
// read; the URL is not to be visited then. A file that is not there allows all.
func (c *Client) Allowed(ctx context.Context, rawURL string) (bool, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return false, fmt.Errorf("read URL: %w", err)
	}
	u = clean(u)
	origin := u.Scheme + "://" + u.Host
	rules, ok := c.robots.get(origin)
	if !ok {
		if rules, err = c.fetchRobots(ctx, origin); err != nil {
			return false, err
		}
		c.robots.put(origin, rules)
	}
	return rules.allow(u.RequestURI()), nil
}

// Allowed is [Client.Allowed] for a URL of the session's hosts; of others not even
// the robots.txt is read, and the error is a *[Fault].
func (s *Session) Allowed(ctx context.Context, rawURL string) (bool, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return false, fmt.Errorf("read URL: %w", err)
	}
	u = clean(u)
	if err := s.hosts.check(u); err != nil {
		return false, pageFault(u, err)
	}
	return s.client.Allowed(ctx, rawURL)
}

func (c *Client) fetchRobots(ctx context.Context, origin string) (robotsRules, error) {
	page, err := c.Visit(NewHosts(origin), robotsTimeout).Get(ctx, origin+"/robots.txt", "")
	if err != nil {
		return robotsRules{}, &RobotsError{Origin: origin, Err: err}
	}
	if page.Status >= 500 || page.Status == http.StatusTooManyRequests {
		pause, _ := RetryAfter(page.Header, c.robots.now())
		return robotsRules{}, &RobotsError{Origin: origin, RetryAfter: pause, Err: fmt.Errorf("the answer was %d", page.Status)}
	}
	if page.Broken != nil {
		return robotsRules{}, &RobotsError{Origin: origin, Err: page.Broken}
	}
	if page.Status >= 300 {
		return robotsRules{}, nil
	}
	return parseRobots(page.Body, c.product), nil
}

func (r *robots) get(origin string) (robotsRules, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.known[origin]
	return e.rules, ok && r.now().Before(e.until)
}

// put remembers the rules and forgets some others when there are too many: first
// what is out of date, then any.
func (r *robots) put(origin string, rules robotsRules) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if len(r.known) >= robotsCached {
		for k, e := range r.known {
			if !now.Before(e.until) {
				delete(r.known, k)
			}
		}
	}
	for k := range r.known {
		if len(r.known) < robotsCached {
			break
		}
		delete(r.known, k)
	}
	r.known[origin] = robotsEntry{rules: rules, until: now.Add(robotsAge)}
}
