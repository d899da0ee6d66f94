package deadletter

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// campaign is one whose waits are the worker's turns: each runs what is due.
func (w *ward) campaign(fault func(job.Job) string) Campaign {
	return Campaign{Store: w, By: staff, Canary: true, sleep: func(ctx context.Context, _ time.Duration) error {
		w.work(fault)
		return ctx.Err()
	}}
}

func (w *ward) run(c Campaign) Progress {
	w.t.Helper()
	p, err := c.Run(w.t.Context())
	w.must(err)
	return p
}

func TestACanaryStopsAtTheFirstThatComesBack(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	w.die(300, "timeout after 30 s")
	p := w.run(w.campaign(func(job.Job) string { return "timeout after 29 s" }))
	if p.Redriven != 1 || p.Returned != 1 || p.Stopped == "" || p.Total != 300 {
		t.Errorf("progress %+v, want one letter redriven and the rest left alone", p)
	}
	d, err := w.LetterDepth(t.Context())
	w.must(err)
	if d.Open != 300 {
		t.Errorf("%d letters are open, want 300", d.Open)
	}
}

func TestACanaryStopsAtAFailureThatWillBeRetried(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	id := w.die(1, "timeout")[0]
	w.redrive(id)
	_, err := w.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop, MaxAttempts: 5})
	w.must(err)
	w.work(func(j job.Job) string {
		if j.ID == id {
			return ""
		}
		return "busy"
	})
	for range 4 {
		w.advance(2 * time.Hour)
		w.work(func(job.Job) string { return "busy" })
	}
	p := w.run(w.campaign(func(job.Job) string { return "busy" }))
	if p.Returned != 1 || p.Stopped == "" {
		t.Errorf("progress %+v, want a stop at the first try that fails the same way", p)
	}
}

// TestACanaryLosesTenAtMost has the cause come back at every place in the order, from
// which on it stays.
func TestACanaryLosesTenAtMost(t *testing.T) {
	t.Parallel()
	for _, fine := range []int{0, 1, 3, 6, 7, 15, 29} {
		w := newWard(t)
		w.die(300, "timeout")
		ran := 0
		p := w.run(w.campaign(func(job.Job) string {
			if ran++; ran > fine {
				return "timeout"
			}
			return ""
		}))
		if p.Stopped == "" || p.Returned < 1 || p.Returned > careful || int(p.Done) != fine {
			t.Errorf("with %d fine: %+v, want a stop with at most %d bad", fine, p, careful)
		}
	}
}

func TestACanaryReleasesTheRestWhenNoneComesBack(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	w.die(300, "timeout")
	out, most := 0, 0
	c := w.campaign(func(job.Job) string { return "" })
	c.Tell = func(p Progress) {
		out = int(p.Waiting)
		most = max(most, out)
	}
	p := w.run(c)
	if p.Redriven != 300 || p.Done != 30 || p.Stopped != "" || p.Waiting != 0 {
		t.Errorf("progress %+v, want all redriven after the outcome of 30", p)
	}
	if most > careful {
		t.Errorf("%d letters were out at once, want at most %d", most, careful)
	}
	w.fine()
	if n, err := w.SettleLetters(t.Context()); err != nil || n != 300 {
		t.Errorf("settled %d letters, error %v", n, err)
	}
}

func TestACanaryStopsWhenMostFailOtherwise(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	w.die(50, "timeout")
	p := w.run(w.campaign(func(job.Job) string { return "another cause" }))
	if p.Stopped == "" || p.Returned != 0 || p.Others < 2 || p.Others > careful {
		t.Errorf("progress %+v, want a stop", p)
	}
}

func TestAnInterruptedCampaignIsGoneOnWith(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	ids := w.die(1200, "timeout")
	ctx, stop := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	c := Campaign{Store: w, By: staff, Tell: func(Progress) { stop(interrupted) }}
	p, err := c.Run(ctx)
	if !errors.Is(err, interrupted) || p.Redriven != redriveBatch {
		t.Fatalf("progress %+v, error %v; want one batch and the interruption", p, err)
	}
	c.Tell = nil
	if p := w.run(c); p.Redriven != 1200-redriveBatch {
		t.Errorf("progress %+v, want the rest", p)
	}
	for _, id := range ids {
		if j, err := w.Job(t.Context(), id); err != nil || j.Redrives != 1 || j.State != job.Pending {
			t.Fatalf("job %s: %s, redriven %d times, error %v", id, j.State, j.Redrives, err)
		}
	}
	entries, err := w.Journal(t.Context(), job.ID{}, 100)
	w.must(err)
	sum := int64(0)
	for _, e := range entries {
		sum += e.Count
		if e.By != staff || e.Act != job.ActRedrive {
			t.Errorf("journal entry %+v", e)
		}
	}
	if sum != 1200 {
		t.Errorf("the journal counts %d, want 1200", sum)
	}
}

func TestACampaignTakesWhatWasThereWhenItBegan(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	w.die(redriveBatch+10, "timeout")
	once := true
	c := Campaign{Store: w, By: staff, Tell: func(Progress) {
		if once {
			once = false
			w.work(func(job.Job) string { return "timeout" }) // all of the first batch come back
		}
	}}
	if p := w.run(c); p.Redriven != redriveBatch+10 {
		t.Errorf("progress %+v, want each letter once", p)
	}
	d, err := w.LetterDepth(t.Context())
	w.must(err)
	if d.Open != redriveBatch || d.InFlight != redriveBatch+10 {
		t.Errorf("depth %+v", d)
	}
}

func TestTheRateIsKept(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	w.die(100, "timeout")
	begun := time.Now()
	if p := w.run(Campaign{Store: w, By: staff, Rate: 100}); p.Redriven != 100 {
		t.Errorf("progress %+v", p)
	}
	// The last batch, a quarter of a second's, goes when those before it have had their time.
	if took := time.Since(begun); took < 750*time.Millisecond {
		t.Errorf("100 letters at 100 a second took %s, want at least 750ms", took)
	}
}

func TestNextStepNamesTheCommand(t *testing.T) {
	t.Parallel()
	id := job.NewID()
	for _, l := range []job.Letter{
		{JobID: id, Class: job.ClassTransient}, {JobID: id, Class: job.ClassCrash}, {JobID: id, Class: job.ClassPanic},
		{JobID: id, Class: job.ClassUnknownKind, Kind: "audit"}, {JobID: id, Class: job.ClassPermanent}, {JobID: id, Redrives: 2},
		{ID: id, Class: ClassPoison},
	} {
		if next := NextStep(l); !strings.Contains(next, "directorybolt ") || !strings.Contains(next, id.String()) {
			t.Errorf("%s: %s", l.Class, next)
		}
	}
}
