package submit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// Witness is where canaries arrive: it stands for the outside world, knows no lease
// and no fence, and counts.
type Witness interface {
	// Arrive takes an effect in, as often as it comes; directory.ErrLate when its
	// deadline is over on the store's clock.
	Arrive(ctx context.Context, a directory.Arrival) error

	// Arrivals lists what arrived of an order, the first first.
	Arrivals(ctx context.Context, order job.ID) ([]directory.Arrival, error)
}

// MaxCanaryDirectories is the largest number of directories of a canary.
const MaxCanaryDirectories = 50

// Canary is the payload of a job of kind canary: a synthetic order that goes the way
// of a real one, ledger and all, to directories that are rows of the witness. It
// carries no money and leaves the house nowhere.
type Canary struct {
	V           int           `json:"v"`              // version of the shape; 1
	Directories int           `json:"directories"`    // 1 to MaxCanaryDirectories
	Hold        time.Duration `json:"hold_ns"`        // each effect takes so long: half of it before it arrives, half after
	Hang        bool          `json:"hang,omitempty"` // the first attempt stops getting further after its first intent

	// Fail makes its first life end as a dead letter; a redrive mends that.
	Fail bool `json:"fail,omitempty"`

	// Only is the name of the worker that the first attempt is for; others give it
	// back uncounted. Once a process died or hung over it, anybody may go on. Empty:
	// anybody from the start.
	Only string `json:"only,omitempty"`
}

// CanaryCustomer is who orders canaries.
var CanaryCustomer = Customer{Email: "canary@directorybolt.invalid", Name: "Canary", Canary: true}

// canaryTurn is how long a worker that a canary is not for leaves it to others, about:
// two that look in step must not miss each other for ever.
const canaryTurn = 50 * time.Millisecond

// CanarySpec makes the job of a canary; customer is the id of [CanaryCustomer].
func CanarySpec(customer job.ID, c Canary, actor string) (job.Spec, error) {
	if c.Directories < 1 || c.Directories > MaxCanaryDirectories {
		return job.Spec{}, &job.InvalidError{Field: "directories", Reason: fmt.Sprintf("%d: must be 1 to %d", c.Directories, MaxCanaryDirectories)}
	}
	c.V = 1
	payload, err := json.Marshal(c)
	if err != nil {
		return job.Spec{}, fmt.Errorf("encode canary: %w", err)
	}
	return job.Spec{
		Kind:       job.KindCanary,
		Priority:   job.PriorityUrgent,
		CustomerID: customer,
		Quota:      c.Directories,
		Canary:     true,
		Payload:    payload,
		Actor:      actor,
	}, nil
}

// Canaries is the handler of jobs of kind canary. name is this worker's, see
// [Canary].Only. Of c it uses what an order needs but catalog, methods and schedule.
func Canaries(c Config, w Witness, name string) job.Handler {
	c.Schedule = []time.Duration{}
	c.Concurrency = 1 // in order, so that a drill knows where it strikes
	c.Backoff = backoff.Policy{Base: 100 * time.Millisecond, Cap: time.Second}
	return job.HandlerFunc(func(ctx context.Context, a job.Attempt) error {
		var canary Canary
		if err := readPayload("canary", a.Job.Payload, &canary, &canary.V); err != nil {
			return err
		}
		if canary.Only != "" && canary.Only != name && a.Job.Crashes == 0 {
			return job.Snooze(rand.N(2*canaryTurn), "this canary is for another worker")
		}
		if canary.Fail && a.Job.Redrives == 0 {
			return job.Permanent(errors.New("this canary is to fail until it is redriven"))
		}
		return performCanary(ctx, c, w, canary, a)
	})
}

// performCanary runs one attempt at a canary: the engine of orders over directories of its own.
func performCanary(ctx context.Context, c Config, w Witness, canary Canary, a job.Attempt) error {
	catalog, err := canaryCatalog(canary)
	if err != nil {
		return job.Permanent(err)
	}
	deadlines := &deadlines{Ledger: c.Ledger}
	c.Catalog, c.Ledger = catalog, deadlines
	c.Methods = map[directory.Method]Method{directory.MethodCanary: &canaryMethod{w, deadlines, canary, a}}
	e, err := New(c)
	if err != nil {
		return job.Permanent(err)
	}
	r, err := e.newRun(ctx, a, &directory.Business{
		Name:    "Canary",
		Website: "https://" + a.Job.ID.String() + ".invalid/", // each canary is a business of its own
		Country: "US",
	})
	if err != nil {
		return err
	}
	return r.perform(ctx)
}

// canaryTimeout is how long an effect of a canary may take: whoever goes on after a crash
// waits for the end of the last one.
const canaryTimeout = 2 * time.Second

// canaryCatalog lists a canary's directories. Each is one step of it.
func canaryCatalog(c Canary) (*directory.Catalog, error) {
	entries := make([]directory.Directory, c.Directories)
	for i := range entries {
		slug := fmt.Sprintf("canary-%02d", i+1)
		entries[i] = directory.Directory{
			Slug: slug, Name: "Canary directory", URL: "https://" + slug + ".invalid/", Category: directory.CategoryGeneral,
			Tier: 1, Authority: 100 - i, Method: directory.MethodCanary, Automation: directory.AutomationAllowed,
			Pacing: directory.Pacing{Timeout: directory.Duration(max(canaryTimeout, 2*c.Hold))},
			Lookup: &directory.Lookup{
				URL:            "https://" + slug + ".invalid/{name}",
				Found:          []directory.Rule{{Text: "there"}},
				Absent:         []directory.Rule{{Text: "not there"}},
				AbsenceIsProof: true,
				Settle:         directory.Duration(time.Millisecond), // what came in time is there at once
			},
		}
	}
	return directory.NewCatalog(entries...)
}

// deadlines remembers until when, on the store's clock, each intent may be sent.
type deadlines struct {
	Ledger
	until sync.Map // by slug
}

func (l *deadlines) Intend(ctx context.Context, lease job.Lease, id job.ID, budget time.Duration) (directory.Submission, error) {
	sub, err := l.Ledger.Intend(ctx, lease, id, budget)
	if err == nil {
		l.until.Store(sub.Directory, sub.EffectDeadline)
	}
	return sub, err
}

// of is the deadline of the intent at a directory. The zero time, of an intent whose
// answer was lost, is past: nothing arrives.
func (l *deadlines) of(slug string) time.Time {
	at, _ := l.until.Load(slug)
	t, _ := at.(time.Time)
	return t
}

// canaryMethod performs the submissions of one attempt at a canary.
type canaryMethod struct {
	witness   Witness
	deadlines *deadlines
	canary    Canary
	attempt   job.Attempt
}

// Submit implements [Method].
func (m *canaryMethod) Submit(ctx context.Context, r Request) (Result, error) {
	left, err := r.Intend(ctx)
	if err != nil {
		return Result{}, err
	}
	if m.canary.Hang && m.attempt.Job.Crashes == 0 {
		<-ctx.Done()
	}
	m.hold(ctx)
	if left() <= 0 || ctx.Err() != nil {
		return Result{HostOK: true, Outcome: directory.Outcome{Class: directory.ClassNotSent, Reason: "no time was left"}}, nil
	}
	if err := m.arrive(ctx, r.Directory.Slug, left()); err != nil {
		return Result{HostOK: true, Outcome: directory.Outcome{Class: directory.ClassInDoubt, Reason: err.Error()}}, nil
	}
	m.hold(ctx)
	return Result{HostOK: true, Outcome: directory.Outcome{State: directory.Submitted, Evidence: evidenceOf("the witness took it in")}}, nil
}

// hold lets half of an effect's time pass.
func (m *canaryMethod) hold(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(m.canary.Hold / 2):
	}
}

func (m *canaryMethod) arrive(ctx context.Context, slug string, left time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	l := m.attempt.Job.Lease()
	err := m.witness.Arrive(ctx, directory.Arrival{
		OrderID: l.JobID, Directory: slug, Fence: l.Fence, WorkerID: l.WorkerID, Until: m.deadlines.of(slug),
	})
	if errors.Is(err, directory.ErrLate) {
		return err
	}
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	return nil
}

// Lookup implements [Method].
func (m *canaryMethod) Lookup(ctx context.Context, d *directory.Directory, _ *directory.Business) Finding {
	arrived, err := m.witness.Arrivals(ctx, m.attempt.Job.ID)
	if err != nil {
		return Finding{Presence: Unknown, Reason: err.Error(), HostOK: true}
	}
	for _, a := range arrived {
		if a.Directory == d.Slug {
			e := evidenceOf("the witness has it")
			e.Probe = true
			return Finding{Presence: Found, Evidence: e, HostOK: true}
		}
	}
	return Finding{Presence: Absent, HostOK: true}
}

func evidenceOf(what string) *directory.Evidence {
	return &directory.Evidence{Rule: what, At: time.Now().UTC()}
}
