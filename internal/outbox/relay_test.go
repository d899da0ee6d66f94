package outbox_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
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

var quiet = slog.New(slog.DiscardHandler)

// desk is a real store, real queues of an emulator behind a proxy, and a relay.
type desk struct {
	*testing.T
	store  *forgetful
	ahead  atomic.Int64
	proxy  *sqstest.Proxy
	server *sqstest.Server
	lanes  queue.Lanes
	relay  *outbox.Relay
}

// forgetful is a real store that can fail to mark.
type forgetful struct {
	*sqlite.Store
	fails atomic.Bool
}

func (f *forgetful) MarkSent(ctx context.Context, ids ...job.ID) error {
	if f.fails.Load() {
		return errors.New("killed between send and mark")
	}
	return f.Store.MarkSent(ctx, ids...)
}

func newDesk(t *testing.T, lanes int) *desk {
	t.Helper()
	t.Parallel()
	d := &desk{T: t}
	s, err := sqlite.Open(t.Context(), sqlite.Config{
		Path: filepath.Join(t.TempDir(), "jobs.db"), Hints: true, Log: quiet,
		Clock: func() time.Time { return time.Now().Add(time.Duration(d.ahead.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.store = &forgetful{Store: s}
	d.server = sqstest.Can(t, func(e sqstest.Emulator) bool { return e.Counts })[0].Start(t)
	d.proxy = sqstest.NewProxy(t, d.server)
	client, err := sqs.Open(t.Context(), sqs.Config{Region: "us-east-1", AccessKeyID: "test", SecretAccessKey: "test", Endpoint: d.proxy.Endpoint})
	if err != nil {
		t.Fatal(err)
	}
	for range lanes {
		d.lanes = append(d.lanes, client.Queue(d.server.Pair(100).URL))
	}
	d.relay = d.newRelay()
	return d
}

func (d *desk) newRelay() *outbox.Relay {
	return outbox.NewRelay(outbox.Config{Store: d.store, Lanes: d.lanes, Interval: 20 * time.Millisecond, Log: quiet})
}

func (d *desk) enqueue(specs ...job.Spec) []job.ID {
	d.Helper()
	added, err := d.store.Enqueue(d.Context(), specs...)
	if err != nil {
		d.Fatal(err)
	}
	ids := make([]job.ID, len(added))
	for i, a := range added {
		ids[i] = a.ID
	}
	return ids
}

func noops(n int) []job.Spec {
	specs := make([]job.Spec, n)
	for i := range specs {
		specs[i] = job.Spec{Kind: job.KindNoop}
	}
	return specs
}

// pass makes a pass that must be good, and checks what it did.
func (d *desk) pass(want outbox.Result) {
	d.Helper()
	got, err := d.relay.Pass(d.Context())
	if err != nil {
		d.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		d.Errorf("-want +got\n%s", diff)
	}
}

// arrived receives everything and counts it by job.
func (d *desk) arrived(lane queue.Queue) map[job.ID]int {
	d.Helper()
	got := map[job.ID]int{}
	for {
		ms, err := lane.Receive(d.Context(), 10, time.Second, time.Hour)
		if err != nil {
			d.Fatal(err)
		}
		if len(ms) == 0 {
			return got
		}
		for _, m := range ms {
			h, err := queue.Decode(m.Body)
			if err != nil {
				d.Fatal(err)
			}
			got[h.JobID]++
		}
	}
}

func once(ids []job.ID) map[job.ID]int {
	want := map[job.ID]int{}
	for _, id := range ids {
		want[id]++
	}
	return want
}

func (d *desk) equal(what string, got, want any) {
	d.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		d.Errorf("%s, -want +got\n%s", what, diff)
	}
}

func TestHintsAreSentOnceAndMarked(t *testing.T) {
	d := newDesk(t, 1)
	d.pass(outbox.Result{})
	ids := d.enqueue(noops(25)...)
	d.pass(outbox.Result{Taken: 25, Sent: 25})
	d.equal("what arrived", d.arrived(d.lanes[0]), once(ids))
	d.ahead.Store(int64(time.Hour))
	d.pass(outbox.Result{})
}

func TestEachPriorityHasItsQueue(t *testing.T) {
	d := newDesk(t, 3)
	ids := d.enqueue(job.Spec{Kind: job.KindNoop, Priority: 4}, job.Spec{Kind: job.KindNoop, Priority: 1},
		job.Spec{Kind: job.KindNoop, Priority: 3}, job.Spec{Kind: job.KindNoop, Priority: 2})
	d.pass(outbox.Result{Taken: 4, Sent: 4})
	d.equal("the most urgent", d.arrived(d.lanes[0]), once(ids[1:2]))
	d.equal("the next", d.arrived(d.lanes[1]), once(ids[3:4]))
	d.equal("the rest", d.arrived(d.lanes[2]), once([]job.ID{ids[0], ids[2]}))
}

func TestAHintForLaterWaitsInTheOutboxHoweverLong(t *testing.T) {
	d := newDesk(t, 1)
	ids := d.enqueue(job.Spec{Kind: job.KindNoop, Delay: 20 * time.Hour})
	d.pass(outbox.Result{})
	d.ahead.Store(int64(20*time.Hour + time.Second))
	d.pass(outbox.Result{Taken: 1, Sent: 1})
	d.equal("what arrived", d.arrived(d.lanes[0]), once(ids))
}

func TestAHintWhoseJobHasEndedIsNotSent(t *testing.T) {
	d := newDesk(t, 1)
	ids := d.enqueue(noops(2)...)
	if err := d.store.Cancel(t.Context(), ids[0], job.By{Actor: "cli:test"}); err != nil {
		t.Fatal(err)
	}
	d.pass(outbox.Result{Taken: 2, Sent: 1, Unneeded: 1})
	d.equal("what arrived", d.arrived(d.lanes[0]), once(ids[1:]))
}

func TestWhatAQueueRefusesIsTakenAgainAndTheRestIsNot(t *testing.T) {
	d := newDesk(t, 1)
	ids := d.enqueue(noops(5)...)
	d.proxy.Add(func(c *sqstest.Call) bool {
		if c.Action != "SendMessageBatch" || c.N > 1 {
			return false
		}
		c.Change(func(answer map[string]any) {
			list, _ := answer["Successful"].([]any)
			id := list[2].(map[string]any)["Id"]
			answer["Successful"] = append(list[:2:2], list[3:]...)
			answer["Failed"] = []any{map[string]any{"Id": id, "SenderFault": true, "Code": "InvalidMessageContents", "Message": "no"}}
		})
		return true
	})
	r, err := d.relay.Pass(t.Context())
	if err == nil || r != (outbox.Result{Taken: 5, Sent: 4, Refused: 1}) {
		t.Errorf("%+v, %v", r, err)
	}
	d.ahead.Store(int64(time.Second)) // after its backoff, and long before it is no longer hidden
	d.pass(outbox.Result{Taken: 1, Sent: 1})
	got := d.arrived(d.lanes[0])
	for _, id := range ids {
		if got[id] == 0 {
			t.Errorf("the hint of %s is lost", id)
		}
	}
}

func TestARelayThatDiesBetweenSendAndMarkDoublesAndLosesNothing(t *testing.T) {
	d := newDesk(t, 1)
	d.enqueue(noops(3)...)
	d.store.fails.Store(true)
	if _, err := d.relay.Pass(t.Context()); err == nil {
		t.Error("a pass that could not mark says nothing")
	}
	d.store.fails.Store(false)
	d.ahead.Store(int64(time.Minute))
	d.pass(outbox.Result{Taken: 3, Sent: 3})
	for id, n := range d.arrived(d.lanes[0]) {
		if n != 2 {
			t.Errorf("the hint of %s arrived %d times", id, n)
		}
	}
	d.ahead.Store(int64(2 * time.Minute))
	d.pass(outbox.Result{})
}

func TestTwoRelaysAtOnceLoseNothingAndShare(t *testing.T) {
	d := newDesk(t, 1)
	ids := d.enqueue(noops(350)...)
	ctx, stop := context.WithCancel(t.Context())
	var relays sync.WaitGroup
	for range 2 {
		r := d.newRelay()
		relays.Go(func() { _ = r.Run(ctx) })
	}
	got := map[job.ID]int{}
	for end := time.Now().Add(time.Minute); len(got) < len(ids) && time.Now().Before(end); {
		for id, n := range d.arrived(d.lanes[0]) {
			got[id] += n
		}
	}
	stop()
	relays.Wait()
	d.equal("what arrived", got, once(ids))
}

func TestARelayGoesOnWhenTheQueueIsBack(t *testing.T) {
	d := newDesk(t, 1)
	var refused atomic.Int64
	d.proxy.Add(func(c *sqstest.Call) bool {
		refused.Add(1)
		c.Refuse(403, "AccessDeniedException", "not you")
		return true
	})
	ids := d.enqueue(noops(2)...)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = d.relay.Run(ctx) }()
	for end := time.Now().Add(time.Minute); refused.Load() == 0 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
	d.proxy.Heal()
	d.ahead.Store(int64(time.Minute))
	got := map[job.ID]int{}
	for end := time.Now().Add(time.Minute); len(got) < len(ids) && time.Now().Before(end); {
		for id, n := range d.arrived(d.lanes[0]) {
			got[id] += n
		}
	}
	stop()
	<-done
	d.equal("what arrived", got, once(ids))
}
