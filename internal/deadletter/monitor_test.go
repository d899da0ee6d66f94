package deadletter

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
	"github.com/directorybolt/directorybolt/internal/queue/sqstest"
)

func TestACheckProvesItself(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	w.die(2, "timeout")
	m := w.monitor(nil)
	r := w.check(m)
	if r.Depth.Open != 2 || r.Depth.ValueCents != 200 {
		t.Errorf("depth %+v, want 2 letters worth 200", r.Depth)
	}
	passes, err := w.MonitorPasses(t.Context())
	w.must(err)
	if len(passes) != 1 || passes[0].Monitor != job.MonitorDLQ || passes[0].GoodAt.IsZero() || passes[0].Counts["open"] != 2 {
		t.Errorf("passes %+v", passes)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Check(t.Context()); err == nil {
		t.Error("a check without a store is good")
	}
}

func TestAGroupIsToldWithTheFateOfEachLetter(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	ids := w.die(4, "timeout after 30 s")
	one, two := w.monitor(nil), w.monitor(nil)
	w.notices()
	w.check(one)
	w.none("open letters")

	w.redrive(ids[:3]...)
	fails := true
	w.work(func(job.Job) string {
		if fails {
			fails = false
			return "timeout after 31 s"
		}
		return ""
	})
	if n := w.only(); n.Redrives != 1 || n.Resolved {
		t.Errorf("notice of the job that failed again: %+v", n)
	}
	w.check(one)
	w.none("one failed again, one is open")
	_, err := w.ResolveLetters(t.Context(), []job.ID{w.letter(ids[3]).ID}, job.FatePurged, staff)
	w.must(err)
	for _, id := range ids {
		if l := w.letter(id); l.Open() {
			w.redrive(id)
		}
	}
	w.fine()
	var together sync.WaitGroup
	for _, m := range []*Monitor{one, two} {
		together.Go(func() { _, _ = m.Check(t.Context()) })
	}
	together.Wait()
	n := w.only()
	if want := "3 redriven and done, 1 redriven and failed again, 1 purged"; n.Text != want || !n.Resolved || n.Count != 5 || n.ValueCents != 500 {
		t.Errorf("notice %+v, want %q about 5 letters worth 500", n, want)
	}
	if n.Alert != job.AlertDeadLetters || n.Group != job.Signature(job.ClassTransient, "timeout after 30 s") {
		t.Errorf("it resolves %s %q, which is not what was raised", n.Alert, n.Group)
	}
	w.check(one)
	w.none("a group that was told")
}

func TestALetterGetsOneCopyWithItsReason(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	s, q, dlq := emulator(t)
	id := w.die(1, "unknown <form> \x01 field")[0]
	one, two := w.monitor(dlq), w.monitor(dlq)
	var together sync.WaitGroup
	for _, m := range []*Monitor{one, two} {
		together.Go(func() {
			if _, err := m.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	together.Wait()
	w.check(one)
	if n := s.Left(q.DLQ); n != 1 {
		t.Fatalf("%d messages in the dead letter queue, want 1", n)
	}
	sample, err := dlq.Look(t.Context(), 10, time.Second)
	w.must(err)
	l := sample.Letters[0]
	if l.Poison != nil || l.Hint.JobID != id {
		t.Errorf("the copy names job %s, poison %v; want %s", l.Hint.JobID, l.Poison, id)
	}
	want := map[string]string{
		"directorybolt.reason": "unknown <form>  field", "directorybolt.class": job.ClassTransient, "directorybolt.attempts": "1",
		"directorybolt.letter_id": w.letter(id).ID.String(),
	}
	for name, text := range want {
		if got := l.Attributes[name]; got != text {
			t.Errorf("attribute %s is %q, want %q", name, got, text)
		}
	}
	w.must(errors.Join(dlq.Return(t.Context(), l)...))
	w.check(one)
	if got := w.letter(id); got.MessageID != l.ID || got.ExpiresAt.IsZero() {
		t.Errorf("the letter knows message %q, which expires %s; want %q and when", got.MessageID, got.ExpiresAt, l.ID)
	}

	// Once it is decided the copy is stale, and nobody is paged for it.
	w.redrive(id)
	w.fine()
	w.notices()
	r := w.check(one)
	if left := s.Left(q.DLQ); left != 0 || r.Stale != 1 {
		t.Errorf("%d messages left after the redrive, %d called stale; want 0 and 1", left, r.Stale)
	}
	if n := w.only(); !n.Resolved {
		t.Errorf("notice %+v, want that the group is resolved", n)
	}
}

// bodies that name no job of ours, and one that does.
var strange = []string{
	"not JSON", `[1,2,3]`, `{"job_id": 7}`, "<!channel> `rm -rf`", `{"v":1,"job_id":"01932f6c-0000-7000-8000-000000000000"}`,
	strings.Repeat("[", 10_000),
}

func TestMessagesThatNameNoJobAreKeptAndTold(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	s, q, dlq := emulator(t)
	for _, body := range strange {
		s.Put(q.DLQ, body)
	}
	done := w.die(1, "no")[0]
	w.redrive(done)
	w.fine()
	s.Put(q.DLQ, string(queue.Hint{JobID: done}.Encode()))
	w.notices()

	one, two := w.monitor(dlq), w.monitor(dlq)
	r := w.check(one)
	if r.Kept != len(strange) || r.Stale != 1 || r.Queued.Total() != int64(len(strange)+1) {
		t.Errorf("kept %d, stale %d, queued %d; want %d, 1, %d", r.Kept, r.Stale, r.Queued.Total(), len(strange), len(strange)+1)
	}
	told := 0
	for _, n := range w.notices() {
		if n.Alert == job.AlertDeadLetters && !n.Resolved {
			told++
			if n.Text == "" || n.Group == "" || n.At.IsZero() {
				t.Errorf("notice without its text, group or time: %+v", n)
			}
		}
	}
	if told != len(strange) {
		t.Errorf("%d notices, want %d", told, len(strange))
	}
	kept, err := w.Letters(t.Context(), job.LetterFilter{})
	w.must(err)
	bodies := map[string]bool{}
	for _, l := range kept {
		bodies[string(l.Body)] = true
		if l.Class != ClassPoison || l.MessageID == "" || l.ExpiresAt.Before(time.Now()) {
			t.Errorf("letter %+v", l)
		}
	}
	for _, body := range strange {
		if !bodies[body] {
			t.Errorf("body %.40q was not kept", body)
		}
	}
	r = w.check(two)
	if r.Kept != 0 {
		t.Errorf("another monitor kept %d again", r.Kept)
	}
	w.none("the same messages again")
	if n := s.Left(q.DLQ); n != len(strange) {
		t.Errorf("%d messages left, want %d: a look takes nothing away", n, len(strange))
	}

	var ids []job.ID
	for _, l := range kept {
		ids = append(ids, l.ID)
	}
	_, err = w.ResolveLetters(t.Context(), ids, job.FatePurged, staff)
	w.must(err)
	// One look need not be shown every message.
	deleted := 0
	for deadline := time.Now().Add(2 * time.Minute); deleted < len(strange) && time.Now().Before(deadline); {
		deleted += w.check(one).Stale
	}
	if deleted != len(strange) || s.Left(q.DLQ) != 0 {
		t.Errorf("after the purge %d were deleted and %d are left", deleted, s.Left(q.DLQ))
	}
}

func TestPeopleAreWarnedBeforeTheQueueForgets(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	s, q, dlq := emulator(t)
	s.Put(q.DLQ, "not JSON")
	id := w.die(1, "no")[0]
	m := w.monitor(dlq)
	w.check(m)
	w.check(m) // sees the copy
	w.notices()
	retention, err := dlq.Retention(t.Context())
	w.must(err)

	w.advance(retention - 49*time.Hour)
	w.check(m)
	w.none("49 hours before")
	w.advance(2 * time.Hour)
	if r := w.check(m); r.Warned != 2 {
		t.Errorf("warned of %d letters, want 2", r.Warned)
	}
	if n := w.only(); n.Alert != job.AlertLettersExpiring || n.Count != 2 || n.ValueCents != 100 || !strings.Contains(n.Text, dlq.Name()+" deletes 2 ") {
		t.Errorf("notice %+v", n)
	}
	w.check(m)
	w.none("warned before")

	// The emulator's clock did not move, so the messages are still there; by the
	// store's the queue has dropped them.
	w.advance(48 * time.Hour)
	if r := w.check(m); r.Expired != 1 {
		t.Errorf("expired %d letters, want the one without a job", r.Expired)
	}
	ended := 0
	for _, n := range w.notices() {
		if n.Alert == job.AlertLettersExpiring && n.Resolved {
			ended++
		}
	}
	if ended != 1 {
		t.Errorf("told %d times that no letter expires any more, want once", ended)
	}
	if l := w.letter(id); !l.Open() || !l.CopiedAt.IsZero() {
		t.Errorf("the job's letter is %q, copied %s; want it open, to be copied anew", l.Fate, l.CopiedAt)
	}
}

func TestBlindnessIsToldOnceAndEnds(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	s := sqstest.Can(t, func(e sqstest.Emulator) bool { return e.Counts })[0].Start(t)
	seeing := letters(t, s.Endpoint, s.Pair(100).DLQ)
	missing := letters(t, s.Endpoint, s.Endpoint+"/000000000000/there-is-none")
	w.die(1, "no")
	w.notices()
	one, two := w.monitor(missing), w.monitor(missing)
	blind := func() {
		t.Helper()
		for _, m := range []*Monitor{one, two} {
			if r, err := m.Check(t.Context()); err == nil {
				t.Fatalf("a look at a queue that is not there is good: %+v", r)
			}
		}
	}
	blind()
	w.advance(2*interval - time.Minute) // the clock goes on meanwhile
	blind()
	w.none("before two intervals are over")
	w.advance(time.Minute)
	blind()
	if n := w.only(); n.Alert != job.AlertQueueBlind || n.Resolved || !strings.Contains(n.Text, "there-is-none") {
		t.Errorf("notice %+v, want that nobody sees the queue", n)
	}
	w.advance(interval)
	blind()
	w.none("told before")

	passes, err := w.MonitorPasses(t.Context())
	w.must(err)
	for _, p := range passes {
		if blind := p.Monitor == job.MonitorDLQLook; (p.Error != "") != blind || p.Every == 0 != blind {
			t.Errorf("%s, every %s: error %q; a monitor that is blind is well, and nobody misses its looks", p.Monitor, p.Every, p.Error)
		}
	}
	one.Queue = seeing
	w.check(one)
	if n := w.only(); n.Alert != job.AlertQueueBlind || !n.Resolved {
		t.Errorf("notice %+v, want that it is seen again", n)
	}
	w.check(one)
	w.none("seen before")

	// One that sees nothing beside one that sees is not blindness.
	w.advance(2*interval + time.Second)
	w.check(one)
	w.none("nobody looked for a while, and none saw nothing")
	w.advance(interval)
	w.check(one)
	if _, err := two.Check(t.Context()); err == nil {
		t.Fatal("the other sees a queue that is not there")
	}
	w.none("another monitor sees")
}

func TestTheMonitorWakesForANewLetterWithinSeconds(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	s, q, dlq := emulator(t)
	m := New(Config{Store: w, Queue: dlq, Interval: time.Hour, Tend: 10 * time.Millisecond, Log: quiet})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	eventually(t, "the first check", func() bool { return w.pass().Passes > 0 })
	id := w.die(1, "no")[0]
	eventually(t, "the copy of a new letter", func() bool { return s.Left(q.DLQ) == 1 })
	w.redrive(id)
	w.fine()
	eventually(t, "the fate of a redriven letter", func() bool { return w.letter(id).Fate == job.FateDone })
	stop()
	w.must(<-ended)
	if p := w.pass(); p.LeftAt.IsZero() || p.Every != time.Hour {
		t.Errorf("pass %+v; want that it left in order, and how often it looked", p)
	}
}

// pass is the latest pass of the monitor itself; its looks at the queue are kept beside it.
func (w *ward) pass() (p job.MonitorPass) {
	w.t.Helper()
	all, err := w.MonitorPasses(w.t.Context())
	w.must(err)
	for _, p := range all {
		if p.Monitor == job.MonitorDLQ {
			return p
		}
	}
	return p
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// stopped is a store none of whose calls succeed.
type stopped struct{ Store }

func (stopped) TidySignatures(context.Context) (int64, error) { return 0, errors.New("no store") }
func (stopped) SettleLetters(context.Context) (int64, error)  { return 0, errors.New("no store") }
func (stopped) ClosedGroups(context.Context) ([]job.ClosedGroup, error) {
	return nil, errors.New("no store")
}
func (stopped) LetterDepth(context.Context) (job.LetterDepth, error) {
	return job.LetterDepth{}, errors.New("no store")
}
func (stopped) RecordPass(context.Context, job.MonitorPass) error { return errors.New("no store") }
func (stopped) LeavePasses(context.Context, string, job.ID) error { return errors.New("no store") }

func TestAMonitorWithoutAStoreGoesOnTrying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		passes := new(passCounter)
		m := New(Config{Store: stopped{}, Interval: interval, Log: quiet, Metrics: passes})
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		if err := m.Run(ctx); err != nil {
			t.Errorf("run ended with %v", err)
		}
		if passes.failed < 12 || passes.failed > 14 || passes.good > 0 {
			t.Errorf("%d failed and %d good checks in an hour, want 12 to 14 and none", passes.failed, passes.good)
		}
	})
}

type passCounter struct {
	noMetrics
	good, failed int
}

func (p *passCounter) DLQPass(_ time.Duration, err error) {
	if err != nil {
		p.failed++
		return
	}
	p.good++
}

// gate reads the notices as the alerts' own gate does.
func (w *ward) gate() {
	w.t.Helper()
	g := alert.NewGate(alert.GateConfig{Store: w.Store, Log: quiet})
	_, err := g.Pass(w.t.Context())
	w.must(err)
}

func TestLettersThatNoAlertSpeaksOfAreToldAgain(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	m := New(Config{Store: w, Alerts: w, Interval: interval, Log: quiet})
	w.die(2, "timeout after 3 s")
	w.notices() // lost
	w.check(m)
	w.none("a letter that has just come")
	w.advance(interval + time.Second)
	w.die(1, "timeout after 4 s")
	w.check(m) // its own notice is not read yet
	w.notices()
	w.check(m)
	n := w.only()
	if n.Alert != job.AlertDeadLetters || n.Group != job.Signature(job.ClassTransient, "timeout after 3 s") || n.Count != 2 || len(n.JobIDs) != 1 {
		t.Errorf("notice %+v, want one about 2 letters", n)
	}
	w.advance(interval)
	w.die(1, "timeout after 5 s")
	w.gate()
	w.check(m)
	w.none("an alert speaks of them")
}

func TestCanariesAndOrdersAreResolvedApart(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	m := w.monitor(nil)
	order := w.die(1, "timeout")[0]
	answers, err := w.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop, MaxAttempts: 1, Canary: true})
	w.must(err)
	w.work(func(job.Job) string { return "timeout" })
	w.gate()
	open := func(want int) {
		t.Helper()
		alerts, err := w.Alerts(t.Context(), alert.Filter{Kind: job.AlertDeadLetters})
		w.must(err)
		if len(alerts) != want {
			t.Errorf("%d alerts are open, want %d: %+v", len(alerts), want, alerts)
		}
	}
	open(2)
	w.redrive(answers[0].ID)
	w.fine()
	w.check(m)
	w.gate()
	open(1)
	w.redrive(order)
	w.fine()
	w.check(m)
	w.gate()
	open(0)
}
