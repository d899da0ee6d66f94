package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/outbox"
	"github.com/directorybolt/directorybolt/internal/queue"
	"github.com/directorybolt/directorybolt/internal/queue/sqs"
	"github.com/directorybolt/directorybolt/internal/queue/sqstest"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
)

// desk is a real store, a real queue of an emulator, behind a proxy, and a consumer
// between them.
type desk struct {
	*testing.T
	store  *fragile
	server *sqstest.Server
	proxy  *sqstest.Proxy
	urls   sqstest.Queues
	lane   *sqs.Queue
	relay  *outbox.Relay
	free   atomic.Int64
	ended  *tally
	*Consumer
	worker job.ID
}

// fragile is a real store that can be away for the consumer.
type fragile struct {
	*sqlite.Store
	away atomic.Bool
}

func (f *fragile) Standings(ctx context.Context, ids ...job.ID) ([]job.Standing, error) {
	if f.away.Load() {
		return nil, errors.New("store is away")
	}
	return f.Store.Standings(ctx, ids...)
}

func (f *fragile) Tell(ctx context.Context, e job.Event, n *job.Notice) error {
	if f.away.Load() {
		return errors.New("store is away")
	}
	return f.Store.Tell(ctx, e, n)
}

// tally counts what the metrics hear.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
	failed map[string]int
	held   int
}

func (l *tally) HintEnded(outcome string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[outcome]++
}

func (l *tally) QueueFailed(act string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed[act]++
}

func (l *tally) HintsHeld(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = n
}

func (l *tally) outcomes() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}

func (l *tally) failures(act string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed[act]
}

func newDesk(t *testing.T, hide time.Duration, maxReceives int) *desk {
	t.Helper()
	t.Parallel()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "jobs.db"), Hints: true, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := &desk{T: t, store: &fragile{Store: s}, ended: &tally{counts: map[string]int{}, failed: map[string]int{}}, worker: job.NewID()}
	d.server = sqstest.Can(t, func(e sqstest.Emulator) bool { return e.Counts })[0].Start(t)
	d.proxy = sqstest.NewProxy(t, d.server)
	d.urls = d.server.Pair(maxReceives)
	client, err := sqs.Open(t.Context(), sqs.Config{Region: "us-east-1", AccessKeyID: "test", SecretAccessKey: "test", Endpoint: d.proxy.Endpoint})
	if err != nil {
		t.Fatal(err)
	}
	d.lane = client.Queue(d.urls.URL)
	d.relay = outbox.NewRelay(outbox.Config{Store: s, Lanes: queue.Lanes{d.lane}, Log: quiet})
	d.free.Store(10)
	d.Consumer = New(Config{
		Store: d.store, Lanes: queue.Lanes{d.lane}, Free: func() int { return int(d.free.Load()) },
		Beat: 50 * time.Millisecond, Hide: hide, Grace: 100 * time.Millisecond, Log: quiet, Metrics: d.ended,
	})
	d.must(s.Register(t.Context(), job.Worker{ID: d.worker, Host: "here", PID: 1, Kinds: []string{job.KindNoop}, Capacity: 10}, time.Hour))
	return d
}

var quiet = slog.New(slog.DiscardHandler)

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// enqueue adds a job; its hint is in the outbox.
func (d *desk) enqueue(delay time.Duration) job.ID {
	d.Helper()
	e, err := d.store.Enqueue(d.Context(), job.Spec{Kind: job.KindNoop, Delay: delay})
	d.must(err)
	return e[0].ID
}

// hinted adds a job and brings its hint to the queue.
func (d *desk) hinted() job.ID {
	d.Helper()
	id := d.enqueue(0)
	r, err := d.relay.Pass(d.Context())
	if err != nil || r.Sent == 0 {
		d.Fatalf("%d hints relayed, %v", r.Sent, err)
	}
	return id
}

// receive receives what is there.
func (d *desk) receive() {
	d.Helper()
	d.must(d.once(d.Context(), d.lane, 10, time.Second))
}

func (d *desk) claim() job.Lease {
	d.Helper()
	jobs, err := d.store.Claim(d.Context(), job.ClaimRequest{Worker: d.worker, Limit: 1, Kinds: []string{job.KindNoop}})
	d.must(err)
	if len(jobs) != 1 {
		d.Fatalf("%d jobs claimed", len(jobs))
	}
	return jobs[0].Lease()
}

func (d *desk) complete(l job.Lease) {
	d.Helper()
	_, err := d.store.Complete(d.Context(), l)
	d.must(err)
}

func (d *desk) fail(l job.Lease, f job.Failure) {
	d.Helper()
	_, err := d.store.Fail(d.Context(), l, f)
	d.must(err)
}

// left checks how many messages the queue still has.
func (d *desk) left(when string, want int) {
	d.Helper()
	if got := d.server.Left(d.urls.URL); got != want {
		d.Errorf("%s, the queue has %d messages, want %d", when, got, want)
	}
}

func (d *desk) outcomes(want map[string]int) {
	d.Helper()
	if diff := cmp.Diff(want, d.ended.outcomes()); diff != "" {
		d.Errorf("outcomes, -want +got\n%s", diff)
	}
}

// notices are those in the outbox about messages moved back.
func (d *desk) notices() (found []job.Notice) {
	d.Helper()
	ms, err := d.store.TakeMessages(d.Context(), job.MessageAlert, 100, time.Minute)
	d.must(err)
	for _, m := range ms {
		var n job.Notice
		d.must(json.Unmarshal(m.Payload, &n))
		if n.Group == "moved_back" {
			found = append(found, n)
		}
	}
	return found
}

// eventually waits until it holds.
func (d *desk) eventually(what string, holds func() bool) {
	d.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			d.Fatalf("never: %s", what)
		}
	}
}

func TestAMessageIsHeldUntilItsJobIsSettled(t *testing.T) {
	d := newDesk(t, time.Minute, 10)
	d.hinted()
	d.receive()
	select {
	case <-d.Due():
	default:
		t.Error("a due job woke nobody")
	}
	d.Pass(t.Context())
	d.left("while the job waits", 1)
	l := d.claim()
	d.Pass(t.Context())
	d.left("while the job runs", 1)
	d.outcomes(map[string]int{})
	d.complete(l)
	d.Pass(t.Context())
	d.left("after the job ended", 0)
	d.outcomes(map[string]int{Settled: 1})
}

func TestAJobGivenBackForLaterHasAFreshHintOfItsOwn(t *testing.T) {
	for name, giveBack := range map[string]func(d *desk, l job.Lease){
		"retry": func(d *desk, l job.Lease) {
			d.fail(l, job.Failure{Cause: "no", Class: job.ClassTransient, Delay: time.Hour})
		},
		"snooze": func(d *desk, l job.Lease) { d.must(d.store.Snooze(d.Context(), l, time.Hour, "cap")) },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, time.Minute, 10)
			d.hinted()
			d.receive()
			l := d.claim()
			d.Pass(t.Context())
			giveBack(d, l)
			d.Pass(t.Context())
			d.left("after the job was given back", 0)
			d.outcomes(map[string]int{Settled: 1})
			r, err := d.relay.Pass(t.Context())
			if err != nil || r.Taken != 0 {
				t.Errorf("the hint for later was taken at once: %+v, %v", r, err)
			}
		})
	}
}

func TestHintsThatNobodyNeedsAreDeletedAndCounted(t *testing.T) {
	d := newDesk(t, time.Minute, 10)
	d.complete(func() job.Lease { d.hinted(); return d.claim() }())
	early, gone := d.enqueue(time.Hour), job.NewID()
	for _, id := range []job.ID{early, gone} {
		d.server.Put(d.urls.URL, string(queue.Hint{JobID: id}.Encode()))
	}
	d.receive()
	d.left("after all were judged", 0)
	d.outcomes(map[string]int{Finished: 1, Early: 1, Unknown: 1})
}

func TestEarlierBodiesWakeLikeOurs(t *testing.T) {
	d := newDesk(t, time.Minute, 10)
	id := d.enqueue(0)
	d.server.Put(d.urls.URL, `{"job_id":"`+id.String()+`","customer_id":"cus_1","package_size":50,"priority":"starter","source":"intake"}`)
	d.receive()
	d.left("while the job waits", 1)
	d.complete(d.claim())
	d.Pass(t.Context())
	d.left("after it ended", 0)
}

func TestADoubledHintIsHeldOnce(t *testing.T) {
	d := newDesk(t, time.Minute, 10)
	id := d.hinted()
	d.receive()
	d.server.Put(d.urls.URL, string(queue.Hint{JobID: id}.Encode()))
	d.receive()
	d.left("while the job waits", 1)
	d.outcomes(map[string]int{Doubled: 1})
	d.complete(d.claim())
	d.Pass(t.Context())
	d.left("after it ended", 0)
}

func TestAMessageDeliveredTwiceIsNotDeletedBeforeItsTime(t *testing.T) {
	d := newDesk(t, time.Minute, 10)
	d.proxy.Add(func(c *sqstest.Call) bool {
		if c.Action != "ReceiveMessage" {
			return false
		}
		c.Change(func(answer map[string]any) {
			ms, _ := answer["Messages"].([]any)
			answer["Messages"] = append(ms, ms...)
		})
		return true
	})
	d.hinted()
	d.receive()
	d.left("while the job waits", 1)
	l := d.claim()
	d.Pass(t.Context())
	d.left("while the job runs", 1)
	d.complete(l)
	d.Pass(t.Context())
	d.left("after it ended", 0)
	d.outcomes(map[string]int{Doubled: 1, Settled: 1})
}

func TestPoisonGoesToTheDeadLetterQueueAndStopsNothing(t *testing.T) {
	d := newDesk(t, 5*time.Second, 2)
	for range 12 {
		d.server.Put(d.urls.URL, "order 5")
	}
	d.hinted()
	d.eventually("all poison is in the dead letter queue", func() bool {
		// No long poll: meanwhile nobody would extend the hint of the job.
		d.must(d.once(t.Context(), d.lane, 10, 0))
		d.Pass(t.Context())
		return d.server.Left(d.urls.DLQ) == 12
	})
	d.left("beside the poison", 1)
	if n := d.ended.outcomes()[Poison]; n != 24 {
		t.Errorf("poison was counted %d times, want twice each", n)
	}
	d.complete(d.claim())
	d.Pass(t.Context())
	d.left("after the job ended", 0)
}

func TestADeadLetterMovedBackByHandTellsAPersonTheCommand(t *testing.T) {
	for name, put := range map[string]func(d *desk, id job.ID){
		"a bare hint": func(d *desk, id job.ID) { d.server.Put(d.urls.URL, string(queue.Hint{JobID: id}.Encode())) },
		"of the relay, long ago": func(d *desk, id job.ID) {
			d.server.Put(d.urls.URL, string(queue.Hint{JobID: id, RelayedAt: time.Now().Add(-time.Hour)}.Encode()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, time.Minute, 10)
			id := d.enqueue(0)
			d.fail(d.claim(), job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})
			put(d, id)
			d.store.away.Store(true)
			d.receive()
			d.left("while nobody could be told", 1)
			d.store.away.Store(false)
			d.Pass(t.Context())
			d.left("afterwards", 0)
			got := d.notices()
			if len(got) != 1 || got[0].Alert != job.AlertDeadLetters || !strings.Contains(got[0].Text, "directorybolt dlq redrive "+id.String()) {
				t.Fatalf("notices %+v, want one with the command", got)
			}
			d.outcomes(map[string]int{MovedBack: 1})
			history, err := d.store.History(t.Context(), id)
			d.must(err)
			if last := history[len(history)-1]; last.Type != job.EventLetterMovedBack {
				t.Errorf("the job's history ends with %s", last.Type)
			}
		})
	}
}

func TestALateHintOfAFailedJobTellsNobody(t *testing.T) {
	d := newDesk(t, time.Minute, 10)
	d.hinted()
	d.fail(d.claim(), job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})
	d.receive()
	d.left("after it was judged", 0)
	d.outcomes(map[string]int{Finished: 1})
	if got := d.notices(); len(got) != 0 {
		t.Errorf("notices %+v", got)
	}
}

func TestAHeldMessageIsExtendedAndNobodyElseGetsIt(t *testing.T) {
	d := newDesk(t, 2*time.Second, 10)
	d.hinted()
	d.receive()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		d.Pass(t.Context())
		if time.Since(d.holdings()[0].until) > 0 {
			t.Log("the machine stood still for longer than a message is hidden; begin anew")
			end = time.Now().Add(5 * time.Second)
			d.receive()
		}
	}
	ms, err := d.lane.Receive(t.Context(), 10, time.Second, time.Second)
	if err != nil || len(ms) != 0 {
		t.Errorf("another got %d messages, %v", len(ms), err)
	}
	d.outcomes(map[string]int{})
}

func TestAMessageHeldTooLongIsLetGo(t *testing.T) {
	d := newDesk(t, time.Minute, 10)
	d.hinted()
	d.receive()
	h := d.holdings()[0]
	h.message.ReceivedAt, h.until = time.Now().Add(-12*time.Hour), time.Now().Add(time.Second)
	d.Pass(t.Context())
	d.left("afterwards", 1)
	d.outcomes(map[string]int{HeldLong: 1})
}

func TestWhileTheStoreIsAwayNothingIsReceivedAndNothingLetGo(t *testing.T) {
	d := newDesk(t, time.Minute, 10)
	d.hinted()
	d.store.away.Store(true)
	d.receive()
	if room := d.room(); room != 0 {
		t.Errorf("room for %d more", room)
	}
	d.Pass(t.Context())
	d.left("while the store is away", 1)
	d.outcomes(map[string]int{})
	d.store.away.Store(false)
	d.complete(d.claim())
	d.Pass(t.Context())
	d.left("after it came back", 0)
}

func TestAStoreThatWasAwayDoesNotStopReceivingForEver(t *testing.T) {
	d := newDesk(t, time.Minute, 10)
	d.hinted()
	d.store.away.Store(true)
	d.receive()
	h := d.holdings()[0]
	h.message.ReceivedAt, h.until = time.Now().Add(-12*time.Hour), time.Now() // and it cannot be held on
	d.Pass(t.Context())
	d.outcomes(map[string]int{HeldLong: 1})
	d.Pass(t.Context())
	if d.room() == 0 {
		t.Error("nothing is held, and nothing is received")
	}
}

func TestNoMoreIsReceivedThanTheWorkerCanBegin(t *testing.T) {
	d := newDesk(t, time.Minute, 10)
	d.free.Store(2)
	for range 3 {
		d.hinted()
	}
	d.must(d.once(t.Context(), d.lane, d.room(), time.Second))
	for d.room() > 0 {
		d.must(d.once(t.Context(), d.lane, d.room(), time.Second))
	}
	if n := len(d.holdings()); n != 2 {
		t.Errorf("%d messages are held for 2 slots", n)
	}
	d.free.Store(1) // one of the two is claimed: it no longer waits for a slot
	d.claim()
	d.Pass(t.Context())
	if room := d.room(); room != 0 {
		t.Errorf("room for %d more, with one slot and one hint waiting for it", room)
	}
}

func TestLanesShareTheSlotsByWeight(t *testing.T) {
	for _, c := range []struct {
		lanes, free int
		want        []int
	}{
		{1, 10, []int{10}}, {1, 0, []int{0}}, {2, 9, []int{6, 3}}, {4, 15, []int{8, 4, 2, 1}}, {4, 1, []int{1, 1, 1, 1}}, {4, -1, []int{0, 0, 0, 0}},
	} {
		var got []int
		for i := range c.lanes {
			got = append(got, share(i, c.lanes)(c.free))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%d lanes, %d free: -want +got\n%s", c.lanes, c.free, diff)
		}
	}
}

// run runs the consumer until stop.
func (d *desk) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.Consumer.Run(ctx)
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	d.Cleanup(stop)
	return stop
}

func TestAtTheEndWhatIsHeldIsGivenBackAtOnce(t *testing.T) {
	d := newDesk(t, time.Hour, 10)
	d.free.Store(1) // so that no receive waits when the end comes
	stop := d.run()
	d.hinted()
	d.eventually("the message is held", func() bool { return len(d.holdings()) == 1 })
	stop()
	ms, err := d.lane.Receive(t.Context(), 10, 20*time.Second, time.Minute)
	if err != nil || len(ms) != 1 {
		t.Errorf("another gets %d messages, %v", len(ms), err)
	}
	d.outcomes(map[string]int{Returned: 1})
}

func TestAReceiveThatWaitsIsNotCutShortByTheEnd(t *testing.T) {
	d := newDesk(t, time.Hour, 10)
	d.Grace = time.Minute
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.Consumer.Run(ctx)
	}()
	d.eventually("a receive waits", func() bool { return d.proxy.Calls("ReceiveMessage") == 1 })
	end()
	d.hinted()
	<-done
	d.outcomes(map[string]int{Returned: 1})
	ms, err := d.lane.Receive(t.Context(), 10, 20*time.Second, time.Minute)
	if err != nil || len(ms) != 1 {
		t.Errorf("another gets %d messages, %v", len(ms), err)
	}
}

func TestAQueueThatIsAwayIsSaidAndComesBack(t *testing.T) {
	d := newDesk(t, time.Minute, 10)
	d.proxy.Add(func(c *sqstest.Call) bool { c.Refuse(403, "AccessDeniedException", "not you"); return true })
	d.run()
	d.eventually("the failure is counted", func() bool { return d.ended.failures("receive") > 0 })
	d.proxy.Heal()
	id := d.hinted()
	d.eventually("the hint is held", func() bool { return len(d.holdings()) == 1 })
	if got := d.holdings()[0].hint.JobID; got != id {
		t.Errorf("the hint of %s is held, want %s", got, id)
	}
}
