package submit_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/bootclock"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/evidence"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/directorybolt/directorybolt/internal/submit"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk performs orders by hand, without a pool: a real store whose clock the test
// turns and whose calls it may let fail, and a method that plays the directories.
type desk struct {
	*sqlite.Store
	t      *testing.T
	offset atomic.Int64 // of the store's clock
	worker job.ID
	config submit.Config

	mu     sync.Mutex
	calls  map[string]int
	outage func(name string, n int) fault // of the n-th call of a method

	submit func(ctx context.Context, r submit.Request) (submit.Result, error)
	lookup func(d *directory.Directory) submit.Finding
	posts  map[string]int // by slug
}

// fault is how a call of the store fails.
type fault int

const (
	works fault = iota
	fails       // nothing happens
	loses       // it happens, and the answer is lost
)

var errAway = errors.New("store is away")

func newDesk(t *testing.T, entries ...directory.Directory) *desk {
	t.Helper()
	d := &desk{t: t, calls: map[string]int{}, posts: map[string]int{}, worker: job.NewID()}
	var err error
	d.Store, err = sqlite.Open(t.Context(), sqlite.Config{
		Path: filepath.Join(t.TempDir(), "jobs.db"), Log: quiet,
		Clock: func() time.Time { return time.Now().Add(time.Duration(d.offset.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	if _, err := d.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := job.Worker{ID: d.worker, Kinds: []string{job.KindOrder}, Capacity: 1}
	if err := d.Register(t.Context(), w, 1000*time.Hour); err != nil {
		t.Fatal(err)
	}
	d.submit = d.accept
	d.lookup = func(*directory.Directory) submit.Finding {
		return submit.Finding{Presence: submit.Unknown, HostOK: true}
	}
	d.config = submit.Config{
		Ledger: d, Pacer: d, Jobs: d, Evidence: evidence.NewDir(t.TempDir()), Log: quiet,
		Methods:  map[directory.Method]submit.Method{directory.MethodForm: played{d}},
		Backoff:  backoff.Policy{Base: 10 * time.Millisecond, Cap: 10 * time.Millisecond},
		Schedule: []time.Duration{},
	}
	d.list(entries...)
	return d
}

// list makes the entries the catalog.
func (d *desk) list(entries ...directory.Directory) {
	d.t.Helper()
	c, err := directory.NewCatalog(entries...)
	if err != nil {
		d.t.Fatal(err)
	}
	d.config.Catalog = c
}

// entry is a directory with a lookup whose absence is proof.
func entry(slug string, authority int, edit ...func(*directory.Directory)) directory.Directory {
	base := "https://" + slug + ".example/"
	d := directory.Directory{
		Slug: slug, Name: slug, URL: base, Category: directory.CategoryGeneral, Tier: 1, Authority: authority,
		Method: directory.MethodForm, Automation: directory.AutomationAllowed,
		Form:    &directory.Form{Start: base + "add", Steps: []directory.Step{{}}},
		Success: []directory.Rule{{Text: "thank you"}},
		Lookup: &directory.Lookup{
			URL: base + "?q={website_host}", Found: []directory.Rule{{Text: "{name}"}}, Absent: []directory.Rule{{Text: "nothing"}},
			AbsenceIsProof: true, Settle: directory.Duration(time.Millisecond),
		},
		Pacing: directory.Pacing{Timeout: directory.Duration(300 * time.Millisecond)},
	}
	for _, e := range edit {
		e(&d)
	}
	return d
}

func entries(n int, edit ...func(*directory.Directory)) []directory.Directory {
	all := make([]directory.Directory, n)
	for i := range all {
		all[i] = entry(fmt.Sprintf("dir-%03d", i), 100-i*100/n, edit...)
	}
	return all
}

// played is the method that asks the desk what the directory does.
type played struct{ d *desk }

func (p played) Submit(ctx context.Context, r submit.Request) (submit.Result, error) {
	return p.d.submit(ctx, r)
}

func (p played) Lookup(_ context.Context, d *directory.Directory, _ *directory.Business) submit.Finding {
	return p.d.lookup(d)
}

// accept is a directory that takes everybody in.
func (d *desk) accept(ctx context.Context, r submit.Request) (submit.Result, error) {
	deadline, err := r.Intend(ctx)
	if err != nil {
		return submit.Result{}, err
	}
	if deadline() <= 0 {
		return open(directory.ClassNotSent), nil
	}
	d.post(r.Directory.Slug)
	return submit.Result{HostOK: true, Outcome: directory.Outcome{State: directory.Submitted, Evidence: proof(r.Directory)}}, nil
}

func (d *desk) post(slug string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.posts[slug]++
}

func (d *desk) posted(slug string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.posts[slug]
}

func proof(d *directory.Directory) *directory.Evidence {
	return &directory.Evidence{Rule: "text thank you", URL: d.URL, Status: 200, Excerpt: "thank you", At: time.Now()}
}

func open(class string) submit.Result {
	return submit.Result{HostOK: true, Outcome: directory.Outcome{Class: class, Reason: class}}
}

// place enqueues an order.
func (d *desk) place(quota int, key string) job.ID {
	d.t.Helper()
	b := bakery(d.t)
	customer, err := d.EnsureCustomer(d.t.Context(), submit.Customer{Email: b.Email, Name: b.Name})
	if err != nil {
		d.t.Fatal(err)
	}
	p := directory.Package{Name: "starter", Quota: quota, PriceCents: 14900, Priority: 1}
	spec, err := submit.OrderSpec(customer, b, p, submit.OrderOptions{Key: key})
	if err != nil {
		d.t.Fatal(err)
	}
	placed, err := d.Store.Enqueue(d.t.Context(), spec)
	if err != nil {
		d.t.Fatal(err)
	}
	return placed[0].ID
}

// claim takes the next job as an attempt with plenty of lease.
func (d *desk) claim(kind string) job.Attempt {
	d.t.Helper()
	jobs, err := d.Claim(d.t.Context(), job.ClaimRequest{Worker: d.worker, Limit: 1, Kinds: []string{kind}})
	if err != nil || len(jobs) != 1 {
		d.t.Fatalf("claimed %d jobs, error %v", len(jobs), err)
	}
	return job.Attempt{Job: jobs[0], Left: func() time.Duration { return 10 * time.Second }, Progress: func() {}, Drain: make(chan struct{})}
}

func (d *desk) engine() *submit.Engine {
	d.t.Helper()
	e, err := submit.New(d.config)
	if err != nil {
		d.t.Fatal(err)
	}
	return e
}

// perform works on the next order until its handler asks for something else than
// a snooze; snoozes pass at once. It returns what the handler said.
func (d *desk) perform() error {
	d.t.Helper()
	for range 100 {
		a := d.claim(job.KindOrder)
		err := d.engine().Order().Handle(d.t.Context(), a)
		snooze := (*job.SnoozeError)(nil)
		if !errors.As(err, &snooze) {
			return err
		}
		if err := d.Snooze(d.t.Context(), a.Job.Lease(), snooze.Delay, snooze.Reason); err != nil {
			d.t.Fatal(err)
		}
		d.offset.Add(int64(snooze.Delay + time.Millisecond))
	}
	d.t.Fatal("the order was snoozed a hundred times and does not end")
	return nil
}

// submissionsOf are the submissions of an order, by slug.
func (d *desk) submissionsOf(order job.ID) map[string]directory.Submission {
	d.t.Helper()
	subs, err := d.Store.Submissions(context.Background(), order)
	if err != nil {
		d.t.Fatal(err)
	}
	all := map[string]directory.Submission{}
	for _, s := range subs {
		all[s.Directory] = s
	}
	return all
}

// balanced checks the equation of the order's books and returns its states.
func (d *desk) balanced(order job.ID) map[directory.SubmissionState]int {
	d.t.Helper()
	j, err := d.Job(d.t.Context(), order)
	if err != nil {
		d.t.Fatal(err)
	}
	states, replaced := map[directory.SubmissionState]int{}, 0
	subs := d.submissionsOf(order)
	for slug, s := range subs {
		states[s.State]++
		if s.Replaced {
			replaced++
		}
		if want := s.State == directory.Submitted; (d.posted(slug) > 0) != want && (s.State == directory.Submitted || s.State.Open()) {
			d.t.Errorf("%s is %s and was posted to %d times", slug, s.State, d.posted(slug))
		}
	}
	if got := len(subs) - replaced + j.Shortfall; got != j.Quota {
		d.t.Errorf("%d submissions − %d replaced + %d short = %d, want the quota %d", len(subs), replaced, j.Shortfall, got, j.Quota)
	}
	for slug := range d.posts {
		if n := d.posted(slug); n > 1 {
			d.t.Errorf("%s was posted to %d times", slug, n)
		}
	}
	return states
}

// met decides how a call fails.
func (d *desk) met(name string) fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls[name]++
	if d.outage == nil {
		return works
	}
	return d.outage(name, d.calls[name])
}

// through performs a call as the outage lets it.
func through[T any](d *desk, name string, call func() (T, error)) (T, error) {
	var none T
	switch d.met(name) {
	case fails:
		return none, errAway
	case loses:
		_, _ = call()
		return none, errAway
	}
	return call()
}

func (d *desk) Now(ctx context.Context) (time.Time, error) {
	return through(d, "Now", func() (time.Time, error) { return d.Store.Now(ctx) })
}

func (d *desk) Enqueue(ctx context.Context, specs ...job.Spec) ([]job.Enqueued, error) {
	return through(d, "Enqueue", func() ([]job.Enqueued, error) { return d.Store.Enqueue(ctx, specs...) })
}

func (d *desk) Job(ctx context.Context, id job.ID) (job.Job, error) {
	return through(d, "Job", func() (job.Job, error) { return d.Store.Job(ctx, id) })
}

func (d *desk) Plan(ctx context.Context, l job.Lease, p directory.Plan) ([]directory.Submission, error) {
	return through(d, "Plan", func() ([]directory.Submission, error) { return d.Store.Plan(ctx, l, p) })
}

func (d *desk) Submissions(ctx context.Context, order job.ID) ([]directory.Submission, error) {
	return through(d, "Submissions", func() ([]directory.Submission, error) { return d.Store.Submissions(ctx, order) })
}

func (d *desk) HeldDirectories(ctx context.Context, identity string) ([]string, error) {
	return through(d, "HeldDirectories", func() ([]string, error) { return d.Store.HeldDirectories(ctx, identity) })
}

func (d *desk) Intend(ctx context.Context, l job.Lease, id job.ID, budget time.Duration) (directory.Submission, error) {
	return through(d, "Intend", func() (directory.Submission, error) { return d.Store.Intend(ctx, l, id, budget) })
}

func (d *desk) Settle(ctx context.Context, l job.Lease, id job.ID, o directory.Outcome) error {
	_, err := through(d, "Settle", func() (struct{}, error) { return struct{}{}, d.Store.Settle(ctx, l, id, o) })
	return err
}

func (d *desk) Observe(ctx context.Context, l job.Lease, id job.ID, o directory.Outcome) error {
	_, err := through(d, "Observe", func() (struct{}, error) { return struct{}{}, d.Store.Observe(ctx, l, id, o) })
	return err
}

func (d *desk) Reserve(ctx context.Context, host string, p directory.Pacing) (submit.Turn, error) {
	return through(d, "Reserve", func() (submit.Turn, error) { return d.Store.Reserve(ctx, host, p) })
}

func (d *desk) Report(ctx context.Context, host string, ok bool, pause time.Duration) error {
	_, err := through(d, "Report", func() (struct{}, error) { return struct{}{}, d.Store.Report(ctx, host, ok, pause) })
	return err
}

// left is a lease of the given length, from now.
func left(lease time.Duration) func() time.Duration {
	end := bootclock.Now() + lease
	return func() time.Duration { return end - bootclock.Now() }
}
