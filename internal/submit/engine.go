package submit

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"time"

	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/bootclock"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/seldom"
	"github.com/directorybolt/directorybolt/internal/telemetry"
)

// Jobs is what the engine needs of the job store.
type Jobs interface {
	job.Enqueuer
	Job(ctx context.Context, id job.ID) (job.Job, error)
	Now(ctx context.Context) (time.Time, error)
}

// Evidence keeps response bodies; see the room evidence.
type Evidence interface {
	Put(ctx context.Context, mediaType string, data []byte) (sha256 string, size int64, err error)
	Confirm(ctx context.Context, sha256 string, data []byte) error
}

// Metrics hears outcomes. Implementations must not block.
type Metrics interface {
	SubmissionEnded(state directory.SubmissionState)
}

// Config describes an engine. Zero means the default.
type Config struct {
	Ledger   Ledger                      // required
	Pacer    Pacer                       // required
	Jobs     Jobs                        // required
	Catalog  *directory.Catalog          // required
	Methods  map[directory.Method]Method // what is not here waits for a person
	Evidence Evidence                    // required

	Concurrency int               // directories of one order at once; 8
	MaxTries    int               // of one submission before it fails; 5
	Backoff     backoff.Policy    // between tries of one submission
	Schedule    []time.Duration   // rechecks, counted from the order's end; 1 h, 1 d, 3 d, 7 d, 30 d
	Log         *slog.Logger      // nil: slog.Default()
	Metrics     Metrics           // nil: none
	Tracer      *telemetry.Tracer // nil: no traces
}

const (
	// patience is the longest wait with a lease in hand; anything longer is snoozed.
	patience = 2 * time.Second
	// minBudget is the least time of a lease in which an effect is begun.
	minBudget = 500 * time.Millisecond
	// defaultTimeout is that of one request, where the catalog says nothing.
	defaultTimeout = 30 * time.Second
	// defaultSettle is how long an accepted listing may take until a lookup shows
	// it, where the catalog says nothing.
	defaultSettle = 10 * time.Second
	// probes is the number of backoffs after which a lookup without an answer is
	// not asked again.
	probes = 5
	// lastProbes is how often an attempt asks at least before it gives up.
	lastProbes = 3
	// storePatience is how long a call that the store does not take is repeated
	// while the lease is renewed.
	storePatience = time.Minute
	// lastWords is how long an outcome may be recorded after the attempt was told
	// to end.
	lastWords = time.Second
)

// Engine performs orders and rechecks.
type Engine struct {
	Config
	outage, reports seldom.Line
}

// New checks c and builds an engine.
func New(c Config) (*Engine, error) {
	if c.Ledger == nil || c.Pacer == nil || c.Jobs == nil || c.Catalog == nil || c.Evidence == nil {
		return nil, errors.New("submit: ledger, pacer, jobs, catalog and evidence are required")
	}
	if c.Concurrency <= 0 {
		c.Concurrency = 8
	}
	if c.MaxTries <= 0 {
		c.MaxTries = 5
	}
	if c.Schedule == nil {
		c.Schedule = []time.Duration{time.Hour, 24 * time.Hour, 72 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	return &Engine{Config: c}, nil
}

// Order is the handler of jobs of kind order.
func (e *Engine) Order() job.Handler { return job.HandlerFunc(e.handleOrder) }

// Recheck is the handler of jobs of kind recheck.
func (e *Engine) Recheck() job.Handler { return job.HandlerFunc(e.handleRecheck) }

func (e *Engine) handleOrder(ctx context.Context, a job.Attempt) error {
	order, err := ParseOrder(a.Job.Payload)
	if err != nil {
		return err
	}
	if e.Tracer == nil { // else the attempt's span is in the trace already
		ctx = telemetry.WithTrace(ctx, order.Trace)
	}
	r, err := e.newRun(ctx, a, &order.Profile)
	if err != nil {
		return err
	}
	if err := r.perform(ctx); err != nil {
		return err
	}
	return e.scheduleRecheck(ctx, r)
}

// newRun loads the order's submissions, planning them first if this is the
// order's first attempt.
func (e *Engine) newRun(ctx context.Context, a job.Attempt, b *directory.Business) (*run, error) {
	now, err := e.storeNow(ctx)
	if err != nil {
		return nil, err
	}
	r := &run{
		Engine:   e,
		attempt:  a,
		lease:    a.Job.Lease(),
		business: b,
		identity: b.Identity(a.Job.CustomerID),
		skew:     now.Add(-bootclock.Now()),
		log:      e.Log.With("order_id", a.Job.ID),
		items:    make(map[job.ID]*item),
	}
	subs, err := e.submissions(ctx, a.Job.ID)
	if err != nil {
		return nil, err
	}
	if len(subs) == 0 {
		if subs, err = r.plan(ctx); err != nil {
			return nil, err
		}
	}
	r.take(subs)
	return r, nil
}

// host is the pacing key of a directory: host and port of its form, or of its
// address.
func host(d *directory.Directory) string {
	address := d.URL
	if d.Form != nil && d.Form.Start != "" {
		address = d.Form.Start
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return d.Slug
	}
	return u.Host
}

func timeout(d *directory.Directory) time.Duration {
	if t := d.Pacing.Timeout.D(); t > 0 {
		return t
	}
	return defaultTimeout
}

func settle(d *directory.Directory) time.Duration {
	if d.Lookup != nil && d.Lookup.Settle > 0 {
		return d.Lookup.Settle.D()
	}
	return defaultSettle
}

type noMetrics struct{}

func (noMetrics) SubmissionEnded(directory.SubmissionState) {}
