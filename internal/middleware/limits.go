package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/ratelimit"
)

// LimitsConfig says what limits requests and how clients are told apart.
type LimitsConfig struct {
	Limiter *ratelimit.Limiter // required
	Proxies Proxies
	// IPv6Bits is how much of an IPv6 address is one client; zero means 64, which is
	// what a household or a server gets.
	IPv6Bits int
	// OnNoAddress hears of each request that has no address. It must not block.
	OnNoAddress func()
}

// netBits is how much of an IPv6 address is one network, for the policies that bound
// what all its clients do together.
const netBits = 48

// Limits refuses requests of clients who send too many. It is safe for concurrent use.
type Limits struct {
	config   LimitsConfig
	policies map[string]*limited
	tries    turns
}

// limited is a policy, that of the networks beside it, and what headers say of it.
type limited struct {
	limit  *ratelimit.Limit
	net    *ratelimit.Limit // nil: none
	policy string           // RateLimit-Policy
	quota  string           // X-RateLimit-Limit
	name   string           // as a structured string
}

// NewLimits makes the limits of every policy that the limiter has.
func NewLimits(c LimitsConfig) (*Limits, error) {
	if c.Limiter == nil {
		return nil, errors.New("limit requests: a limiter is required")
	}
	if c.IPv6Bits == 0 {
		c.IPv6Bits = 64
	}
	if c.IPv6Bits < netBits || c.IPv6Bits > 128 {
		return nil, fmt.Errorf("limit requests: %d bits of an IPv6 address, want %d to 128", c.IPv6Bits, netBits)
	}
	if c.OnNoAddress == nil {
		c.OnNoAddress = func() {}
	}
	l := &Limits{config: c, policies: map[string]*limited{}}
	for _, lim := range c.Limiter.Limits() {
		p := lim.Policy()
		net, _ := c.Limiter.Limit(ratelimit.NetOf(p.Name)) // most have none
		name := strconv.Quote(p.Name)
		l.policies[p.Name] = &limited{
			limit: lim, net: net, name: name, quota: strconv.Itoa(p.Limit),
			policy: fmt.Sprintf("%s;q=%d;w=%d", name, p.Limit, seconds(p.Window)),
		}
	}
	return l, nil
}

// Allow counts a request under a policy: for the key whose id was verified, or for
// the client's address when keyID is empty. It sets the headers that tell of the
// limit; when it returns false, it has answered the client too. It panics when there
// is no such policy, which is a fault of the caller's table of routes.
//
// Several policies may be asked one after the other, the one that is never given back
// first.
func (l *Limits) Allow(w http.ResponseWriter, r *http.Request, policy, keyID string) bool {
	p := l.policies[policy]
	if p == nil {
		panic("middleware: there is no rate policy " + policy)
	}
	if keyID != "" {
		return p.pass(w, p.limit.Allow(ratelimit.Subject{Kind: "key", ID: keyID}))
	}
	return l.byAddress(r, p, func(p *limited, limit *ratelimit.Limit, s ratelimit.Subject) bool {
		return p.pass(w, limit.Allow(s))
	})
}

// byAddress asks the limits that the client's address counts under, as long as they pass.
func (l *Limits) byAddress(r *http.Request, p *limited, passes func(*limited, *ratelimit.Limit, ratelimit.Subject) bool) bool {
	client, known := l.config.Proxies.Client(r)
	if !known {
		l.config.OnNoAddress()
		return passes(p, p.limit, ratelimit.Subject{Kind: "none"})
	}
	if client.Is4() {
		return passes(p, p.limit, ratelimit.Subject{Kind: "addr", ID: client.String()})
	}
	// The network is asked only of who passes, so that one client who is refused does
	// not use up what belongs to his neighbours.
	if !passes(p, p.limit, network(client, l.config.IPv6Bits)) {
		return false
	}
	if p.net == nil {
		return true
	}
	return passes(l.policies[p.net.Policy().Name], p.net, network(client, netBits))
}

// Try lets a client try what he may fail at only so often, such as a key. A failure counts
// under the policy for his address, a success for the key that it proved; neither, for it
// could not be found out, is not counted. Whose address failed too often is refused
// untried, also with the right key: or the answer would tell that it is the right one. Tries
// of one address are made one after the other, so that many at once are not all
// made before the first failure counts; each process may make one too many.
//
// The request's context must end, with a deadline, and end the try too: one that hangs
// keeps the others of its address waiting. Whose turn has not come by then is told so.
//
// When it returns false, it has answered the client, as [Limits.Allow] does. What is
// looked up before is not counted here: that is for another policy.
func (l *Limits) Try(w http.ResponseWriter, r *http.Request, policy string, try func() (keyID string, failed bool)) bool {
	p := l.policies[policy]
	if p == nil {
		panic("middleware: there is no rate policy " + policy)
	}
	done, err := l.tries.begin(r.Context(), l.neighbourhood(r))
	if err != nil { // a client that hung up does not read this
		policy := p.limit.Policy()
		p.refuse(w, ratelimit.Decision{Policy: &policy, Wait: turnWait}, noTurn)
		return false
	}
	defer done()
	if !l.byAddress(r, p, func(p *limited, limit *ratelimit.Limit, s ratelimit.Subject) bool { return p.open(w, limit.Look(s)) }) {
		return false
	}
	keyID, failed := try()
	switch {
	case failed:
		return l.Allow(w, r, policy, "")
	case keyID != "":
		return l.Allow(w, r, policy, keyID)
	}
	return true
}

// neighbourhood names all who share a limit with the client.
func (l *Limits) neighbourhood(r *http.Request) string {
	client, known := l.config.Proxies.Client(r)
	switch {
	case !known:
		return ""
	case client.Is4():
		return client.String()
	}
	return network(client, netBits).ID
}

// turnWait is what a client is told to wait whose turn did not come.
const turnWait = 5 * time.Second

// turns lets one at a time of each name go on.
type turns struct {
	mu sync.Mutex
	of map[string]*turn
}

type turn struct {
	taken chan struct{} // holds one
	users int           // who has it or waits; under turns.mu
}

// begin waits for the turn, until ctx ends. Who has it calls done.
func (t *turns) begin(ctx context.Context, name string) (done func(), err error) {
	t.mu.Lock()
	if t.of == nil {
		t.of = map[string]*turn{}
	}
	u := t.of[name]
	if u == nil {
		u = &turn{taken: make(chan struct{}, 1)}
		t.of[name] = u
	}
	u.users++
	t.mu.Unlock()
	select {
	case u.taken <- struct{}{}:
		if ctx.Err() == nil { // both may be ready
			return func() { <-u.taken; t.leave(name, u) }, nil
		}
		<-u.taken
	case <-ctx.Done():
	}
	t.leave(name, u)
	return nil, context.Cause(ctx)
}

func (t *turns) leave(name string, u *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if u.users--; u.users == 0 {
		delete(t.of, name)
	}
}

func network(client netip.Addr, bits int) ratelimit.Subject {
	p, _ := client.Prefix(bits) // bits were checked
	return ratelimit.Subject{Kind: "addr", ID: p.String()}
}

// Handler lets requests through to next under one policy, by address.
func (l *Limits) Handler(policy string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.Allow(w, r, policy, "") {
			next.ServeHTTP(w, r)
		}
	})
}

// pass tells the client of the limit, and refuses him if he is over it.
func (p *limited) pass(w http.ResponseWriter, d ratelimit.Decision) bool {
	p.tell(w.Header(), d)
	switch d.Outcome {
	case ratelimit.Allowed:
		return true
	case ratelimit.Unavailable:
		p.refuse(w, d, unavailable)
	default:
		p.refuse(w, d, limitReached)
	}
	return false
}

// open refuses a client whose failures are too many, and tells him nothing else: what
// comes of his try does.
func (p *limited) open(w http.ResponseWriter, d ratelimit.Decision) bool {
	switch d.Outcome {
	case ratelimit.Allowed:
		return true
	case ratelimit.Unavailable:
		p.tell(w.Header(), d)
		p.refuse(w, d, unavailable)
	default:
		p.tell(w.Header(), d)
		p.refuse(w, d, failuresReached)
	}
	return false
}

// tell sets the fields of the IETF's draft for every policy that was asked, and those
// of the X-RateLimit family, which have room for one, for the tightest.
func (p *limited) tell(h http.Header, d ratelimit.Decision) {
	left := strconv.Itoa(d.Remaining)
	h.Add("RateLimit-Policy", p.policy)
	h.Add("RateLimit", p.name+";r="+left+";t="+strconv.Itoa(d.WaitSeconds()))
	if told := h.Get("X-RateLimit-Remaining"); told != "" && d.Allowed() {
		if n, err := strconv.Atoi(told); err == nil && n <= d.Remaining {
			return
		}
	}
	h.Set("X-RateLimit-Limit", p.quota)
	h.Set("X-RateLimit-Remaining", left)
	h.Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(d.Wait+time.Second-time.Millisecond).Unix(), 10))
}

// seconds rounds up.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
