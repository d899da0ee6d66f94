package submit_test

import (
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/evidence"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/sandbox"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/directorybolt/directorybolt/internal/submit/httpform"
	"github.com/directorybolt/directorybolt/internal/submit/webclient"
	"github.com/directorybolt/directorybolt/internal/worker"
)

// house is the whole trade in one process: a real store, a real pool, the real
// method, and the sandbox's directories.
type house struct {
	t        *testing.T
	store    *sqlite.Store
	web      *sandbox.Sandbox
	engine   *submit.Engine
	evidence *evidence.Dir
}

func newHouse(t *testing.T, c sandbox.Config) *house {
	t.Helper()
	h := &house{t: t}
	var err error
	if h.web, err = sandbox.Start(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.web.Close)
	if h.store, err = sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "jobs.db"), Log: quiet}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.store.Close() })
	if _, err := h.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.build(h.catalog())
	return h
}

var quiet = slog.New(slog.DiscardHandler)

func (h *house) catalog() *directory.Catalog {
	h.t.Helper()
	entries := h.web.Catalog()
	c, err := directory.NewCatalog(entries...)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// build makes the engine and the pool that runs it.
func (h *house) build(c *directory.Catalog) {
	h.t.Helper()
	client := webclient.New(webclient.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	h.t.Cleanup(client.Close)
	var err error
	h.evidence = evidence.NewDir(h.t.TempDir())
	h.engine, err = submit.New(submit.Config{
		Ledger: h.store, Pacer: h.store, Jobs: h.store, Catalog: c, Evidence: h.evidence, Log: quiet,
		Methods:  map[directory.Method]submit.Method{directory.MethodForm: httpform.New(client)},
		Backoff:  backoff.Policy{Base: 50 * time.Millisecond, Cap: 200 * time.Millisecond},
		Schedule: []time.Duration{500 * time.Millisecond, 2 * time.Second, 4 * time.Second},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	pool, err := worker.New(worker.Config{
		Store: h.store, Log: quiet, Heartbeat: 500 * time.Millisecond, Lease: 5 * time.Second, Poll: 50 * time.Millisecond,
		Handlers: map[string]job.Handler{job.KindOrder: h.engine.Order(), job.KindRecheck: h.engine.Recheck()},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	left := make(chan struct{})
	go func() {
		defer close(left)
		_ = pool.Run(ctx)
	}()
	h.t.Cleanup(func() { cancel(); <-left })
}

func bakery(t *testing.T) *directory.Business {
	t.Helper()
	b, err := directory.ReadProfile("../../examples/profile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// order places an order of the given quota and waits until its job has ended.
func (h *house) order(b *directory.Business, quota int, key string) (job.Job, []directory.Submission) {
	h.t.Helper()
	customer, err := h.store.EnsureCustomer(h.t.Context(), submit.Customer{Email: b.Email, Name: b.Name})
	if err != nil {
		h.t.Fatal(err)
	}
	p := directory.Package{Name: "starter", Quota: quota, PriceCents: 14900, Priority: 1}
	spec, err := submit.OrderSpec(customer, b, p, submit.OrderOptions{Key: key, Actor: "cli:test"})
	if err != nil {
		h.t.Fatal(err)
	}
	placed, err := h.store.Enqueue(h.t.Context(), spec)
	if err != nil {
		h.t.Fatal(err)
	}
	j := h.await(placed[0].ID)
	subs, err := h.store.Submissions(h.t.Context(), j.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return j, subs
}

func (h *house) await(id job.ID) job.Job {
	h.t.Helper()
	var j job.Job
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var err error
		if j, err = h.store.Job(h.t.Context(), id); err != nil {
			h.t.Fatal(err)
		}
		if j.State.Final() {
			return j
		}
	}
	subs, _ := h.store.Submissions(h.t.Context(), id)
	for _, s := range subs {
		if s.State.Open() {
			b, _ := h.web.Behaviour(s.Directory)
			h.t.Logf("%s (%s) is %s: tries %d, %s: %s", s.Directory, b.Name, s.State, s.Tries, s.Class, s.Reason)
		}
	}
	h.t.Fatalf("order is %s: fence %d, failures %d, due %v, cause %q", j.State, j.Fence, j.Failures, j.DueAt, j.Cause)
	return j
}

// TestEveryBehaviourEndsAsItShould sends one order to every directory of the
// sandbox and compares the ledger with what each behaviour deserves, and with what
// the directory really took in.
func TestEveryBehaviourEndsAsItShould(t *testing.T) {
	h := newHouse(t, sandbox.Config{Scale: 0.2})
	j, subs := h.order(bakery(t), len(h.web.Catalog()), "")
	if j.State != job.Completed {
		t.Fatalf("order is %s: %s", j.State, j.Cause)
	}
	if len(subs) != len(h.web.Catalog()) {
		t.Errorf("%d submissions for %d directories", len(subs), len(h.web.Catalog()))
	}
	for _, s := range subs {
		b, ok := h.web.Behaviour(s.Directory)
		if !ok {
			t.Errorf("%s is no directory of the sandbox", s.Directory)
			continue
		}
		if !slices.Contains(b.Expect, s.State) {
			t.Errorf("%s (%s): %s after %d tries (%s: %s), want one of %v", s.Directory, b.Name, s.State, s.Tries, s.Class, s.Reason, b.Expect)
		}
		if s.State == directory.NeedsAction && b.Need != "" && s.Need != b.Need {
			t.Errorf("%s (%s): needs %s (%s), want %s", s.Directory, b.Name, s.Need, s.Reason, b.Need)
		}
		h.checkTaken(s, b)
		h.checkEvidence(s, b)
	}
	if doubles := h.web.Witness().Doubles(); len(doubles) > 0 {
		t.Errorf("taken in twice: %+v", doubles)
	}
}

func (h *house) checkTaken(s directory.Submission, b sandbox.Behaviour) {
	h.t.Helper()
	r, _ := h.web.Witness().Directory(s.Directory)
	taken := len(r.Accepted) + len(r.Held)
	if taken != b.Lists && !(b.OnlyIfSent && s.State == directory.NeedsAction && taken == 0) {
		h.t.Errorf("%s (%s) took the business in %d times, want %d; the ledger says %s: %s", s.Directory, b.Name, taken, b.Lists, s.State, s.Reason)
	}
}

// checkEvidence holds that success has evidence whose blob is stored.
func (h *house) checkEvidence(s directory.Submission, b sandbox.Behaviour) {
	h.t.Helper()
	if s.State != directory.Submitted && s.State != directory.Live {
		return
	}
	e := s.Evidence
	if e == nil || e.Rule == "" || e.SHA256 == "" {
		h.t.Errorf("%s (%s) is %s with the evidence %+v", s.Directory, b.Name, s.State, e)
		return
	}
	blob, err := h.evidence.Open(h.t.Context(), e.SHA256)
	if err != nil {
		h.t.Errorf("%s (%s): open evidence %s: %v", s.Directory, b.Name, e.SHA256, err)
		return
	}
	_ = blob.Close()
}

// TestSecondOrderPassesHeldDirectoriesOver places two orders for one business: no
// directory of the first is chosen by the second.
func TestSecondOrderPassesHeldDirectoriesOver(t *testing.T) {
	h := newHouse(t, sandbox.Config{Scale: 0.2, Count: 12, Behaviours: []string{"plain"}})
	_, first := h.order(bakery(t), 8, "first")
	j, second := h.order(bakery(t), 8, "second")
	if len(first) != 8 || len(second) != 4 || j.Shortfall != 4 {
		t.Errorf("first order %d, second %d with shortfall %d; want 8, and 4 with 4", len(first), len(second), j.Shortfall)
	}
	if doubles := h.web.Witness().Doubles(); len(doubles) > 0 {
		t.Errorf("taken in twice: %+v", doubles)
	}
}

// TestFailureIsReplacedUntilTheCatalogEnds orders six of eight directories of
// which half are gone.
func TestFailureIsReplacedUntilTheCatalogEnds(t *testing.T) {
	h := newHouse(t, sandbox.Config{Scale: 0.2, Count: 8, Behaviours: []string{"plain", "form_gone"}})
	j, subs := h.order(bakery(t), 6, "")
	states := map[directory.SubmissionState]int{}
	replaced := 0
	for _, s := range subs {
		states[s.State]++
		if s.Replaced {
			replaced++
		}
	}
	if states[directory.Submitted] != 4 || states[directory.FailedState] != 4 || replaced != 2 {
		t.Errorf("states %v, %d replaced; want 4 submitted, 4 failed, 2 of them replaced", states, replaced)
	}
	if got := len(subs) - replaced + j.Shortfall; got != j.Quota {
		t.Errorf("%d submissions − %d replaced + %d short = %d, want the quota %d", len(subs), replaced, j.Shortfall, got, j.Quota)
	}
}

// TestRecheckFindsWhatWentLiveLater follows a moderated listing until it is live.
func TestRecheckFindsWhatWentLiveLater(t *testing.T) {
	h := newHouse(t, sandbox.Config{Scale: 0.2, Count: 2, Behaviours: []string{"moderated"}})
	_, subs := h.order(bakery(t), 2, "")
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var err error
		if subs, err = h.store.Submissions(t.Context(), subs[0].OrderID); err != nil {
			t.Fatal(err)
		}
		if subs[0].State == directory.Live && subs[1].State == directory.Live {
			break
		}
	}
	for _, s := range subs {
		if s.State != directory.Live || s.ListingURL == "" || s.LiveAt.IsZero() || s.Evidence == nil || !s.Evidence.Probe {
			t.Errorf("%s is %s, listing %q, live at %v, evidence %+v; want it live, found by lookup", s.Directory, s.State, s.ListingURL, s.LiveAt, s.Evidence)
		}
	}
}
