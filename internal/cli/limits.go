package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/config"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/middleware"
	"github.com/directorybolt/directorybolt/internal/ratelimit"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/directorybolt/directorybolt/internal/telemetry"
)

// limitSecret is the name under which the store keeps the secret of rate limits.
const limitSecret = "rate_limit"

// limits is the rate limiter of a process that serves HTTP.
type limits struct {
	*middleware.Limits
	limiter *ratelimit.Limiter
	storage limitStorage
	news    *limiterNews
	facts   *decisionFacts
}

type limitStorage interface {
	ratelimit.Storage
	io.Closer
}

// limits opens the rate limiter on the store.
func (h house) limits(ctx context.Context, s backend) (*limits, error) {
	storage, err := h.openLimits(ctx, s)
	if err != nil {
		return nil, err
	}
	l := &limits{storage: storage, news: newLimiterNews(s, h.log)}
	if err := l.build(ctx, h, s); err != nil {
		return nil, errors.Join(err, storage.Close())
	}
	return l, nil
}

func (h house) openLimits(ctx context.Context, s backend) (limitStorage, error) {
	if own, ok := s.(*ownStore); ok {
		s = own.backend
	}
	switch s := s.(type) {
	case *postgres.Store:
		return s.Limits(ctx, postgres.LimitsConfig{Commit: h.config.RateLimitCommit})
	case *sqlite.Store:
		return s.Limits(ctx, sqlite.LimitsConfig{Commit: h.config.RateLimitCommit})
	}
	return nil, fmt.Errorf("open rate limits: a %T keeps none", s)
}

func (l *limits) build(ctx context.Context, h house, s backend) error {
	policies, err := ratePolicies(h.config.RateLimits)
	if err != nil {
		return err
	}
	secret := []byte(h.config.RateLimitSecret)
	if len(secret) == 0 {
		if secret, err = s.Secret(ctx, limitSecret); err != nil {
			return err
		}
	}
	l.limiter, err = ratelimit.New(ratelimit.Config{
		Storage: l.storage, Secret: secret, Policies: policies, Patience: h.config.RateLimitPatience,
		Log: h.log, OnChange: l.news.changed,
		OnAsk: func(keys int, took time.Duration, err error) { h.metrics.LimitsAsked(keys, took, failure(err)) },
	})
	if err != nil {
		return err
	}
	l.facts = &decisionFacts{read: l.limiter.Stats, rollups: s, log: h.log}
	h.metrics.WatchLimits(l.telemetry)
	l.Limits, err = middleware.NewLimits(middleware.LimitsConfig{
		Limiter: l.limiter, IPv6Bits: h.config.RateLimitIPv6Bits, OnNoAddress: h.metrics.NoAddress,
		Proxies: middleware.Proxies{
			Ranges: h.config.TrustedProxies, Hops: h.config.TrustedHops,
			Forwarded: h.config.ForwardHeader == "forwarded", NetlifySecret: []byte(h.config.NetlifySecret),
		},
	})
	if err != nil {
		return err
	}
	// The connections are made now: the first decision has no time for it.
	if err := l.storage.Ping(ctx); err != nil {
		h.log.WarnContext(ctx, "the storage of the rate limits does not answer yet", "error", err.Error())
	}
	return nil
}

func ratePolicies(changes []config.RateLimit) ([]ratelimit.Policy, error) {
	changed := make([]ratelimit.Policy, len(changes))
	for i, c := range changes {
		changed[i] = ratelimit.Policy{Name: c.Policy, Limit: c.Limit, Window: c.Window, Down: ratelimit.Down(c.Down)}
	}
	return ratelimit.Policies(changed...)
}

// failure is the reason of a statement that failed, as metrics know it.
func failure(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ratelimit.ErrUncounted):
		return "error"
	}
	return "timeout"
}

func (l *limits) telemetry() telemetry.Limits {
	s := l.limiter.Stats()
	t := telemetry.Limits{Degraded: s.Down, Keys: s.Keys, Evicted: s.Evicted}
	for _, d := range s.Tallies {
		t.Decisions = append(t.Decisions, telemetry.Decisions{Policy: d.Policy, Outcome: d.Outcome.String(), Source: d.Source.String(), Count: d.Count})
	}
	return t
}

// run sweeps, counts for reports, and tells people of a storage that stays away, until
// ctx ends.
func (l *limits) run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { l.news.run(ctx) })
	all.Go(func() { l.facts.run(ctx) })
	err := l.limiter.Run(ctx)
	all.Wait()
	return err
}

func (l *limits) close() {
	l.limiter.Close()
	_ = l.storage.Close() // reads and writes are over
}

// awayFor is how long the limiter's storage may be away before a person is told. A
// slow statement is in the metrics, and nobody's concern.
const awayFor = 5 * time.Second

// limiterNews tells people that the limiter works without its storage, once that has
// lasted, and that it is over.
type limiterNews struct {
	teller  job.Teller
	log     *slog.Logger
	changes chan error

	cause error     // of the outage; nil: there is none
	since time.Time // when it began
	told  bool      // people know of one
}

func newLimiterNews(t job.Teller, log *slog.Logger) *limiterNews {
	return &limiterNews{teller: t, log: log, changes: make(chan error, 64)}
}

// changed hears what the limiter says of its storage.
func (n *limiterNews) changed(cause error) {
	select {
	case n.changes <- cause:
	default: // a storage that comes and goes so fast is told of by those before
	}
}

func (n *limiterNews) run(ctx context.Context) {
	look := time.NewTicker(awayFor)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case cause := <-n.changes:
			n.turn(ctx, cause)
			look.Reset(awayFor)
		case <-look.C:
			n.look(ctx)
		}
	}
}

// turn begins an outage or ends it. The store that was away with the limiter's own
// can be told of it only now, and then it is history.
func (n *limiterNews) turn(ctx context.Context, cause error) {
	if cause != nil {
		n.cause, n.since = cause, time.Now()
		return
	}
	if !n.told && time.Since(n.since) >= awayFor {
		n.tell(ctx, nil)
	}
	n.cause = nil
	n.look(ctx)
}

// look tells people what they do not know yet.
func (n *limiterNews) look(ctx context.Context) {
	away := time.Since(n.since).Round(time.Second)
	switch {
	case n.cause != nil && !n.told && away >= awayFor:
		n.told = n.tell(ctx, &job.Notice{Key: "limiter", Alert: job.AlertLimiter,
			Text: "The rate limiter has been without its store for " + away.String() + "; each process counts by itself, and what must not go uncounted is refused."})
	case n.cause == nil && n.told:
		n.told = !n.tell(ctx, &job.Notice{Key: "limiter", Alert: job.AlertLimiter, Resolved: true, Text: "The rate limiter has its store again."})
	}
}

// tell reports whether the store took it.
func (n *limiterNews) tell(ctx context.Context, notice *job.Notice) bool {
	detail := map[string]string{"away": time.Since(n.since).Round(time.Second).String()}
	if n.cause != nil {
		detail["error"] = n.cause.Error()
	}
	text, _ := json.Marshal(detail) // strings: it never fails
	within, cancel := context.WithTimeout(ctx, awayFor)
	defer cancel()
	err := n.teller.Tell(within, job.Event{Type: job.EventLimiterDegraded, Actor: job.ActorSystem, Detail: text}, notice)
	if err != nil && ctx.Err() == nil {
		n.log.WarnContext(ctx, "what the rate limiter has to tell was not stored, will try again", "error", err.Error())
	}
	return err == nil
}
