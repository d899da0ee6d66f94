package consumer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
	"github.com/directorybolt/directorybolt/internal/seldom"
)

const (
	longPoll = 20 * time.Second
	// callTimeout bounds one question to the store.
	callTimeout = 10 * time.Second
	// look is the time between two looks for a free slot.
	look = 250 * time.Millisecond
)

// Store is what a consumer needs of a job store.
type Store interface {
	job.Teller
	Standings(ctx context.Context, ids ...job.ID) ([]job.Standing, error)
}

// Config describes a consumer. Zero durations mean the defaults.
type Config struct {
	Store Store       // required
	Lanes queue.Lanes // required

	// Free is how many jobs the worker could begin now. No more hints are received.
	Free func() int // required

	Beat  time.Duration // between looks at what is held; 5 s
	Hide  time.Duration // how long a message is hidden, and extended for; 60 s, at least 3 beats
	Grace time.Duration // how long a receive that waits may go on after the end; 20 s

	Log     *slog.Logger // nil: slog.Default()
	Metrics Metrics      // nil: none
}

// Metrics hears what a consumer does. Implementations must not block.
type Metrics interface {
	// HintEnded tells how a received message ended, see the Outcome constants.
	HintEnded(outcome string)
	// HintsHeld tells how many messages are held.
	HintsHeld(n int)
	// QueueFailed tells that the queue did not do what it was asked: receive, extend,
	// return or delete.
	QueueFailed(act string)
}

// Outcomes of a received message. The first six are deletions.
const (
	Settled   = "settled"    // it was held until its job was settled
	Finished  = "finished"   // its job had ended when it came
	Early     = "early"      // its job is not due: a later hint says when
	Doubled   = "doubled"    // another message of the same job is held
	Unknown   = "unknown"    // there is no such job
	MovedBack = "moved_back" // its job is a dead letter; a person is told
	Poison    = "poison"     // given back: it names no job
	HeldLong  = "held_long"  // let go: it was held as long as can be
	Lost      = "lost"       // it came back to the queue while its job was not settled
	Returned  = "returned"   // given back at the end
)

// Outcomes lists them all.
var Outcomes = []string{Settled, Finished, Early, Doubled, Unknown, MovedBack, Poison, HeldLong, Lost, Returned}

// Consumer holds the messages of one process.
type Consumer struct {
	Config
	due  chan struct{}
	away atomic.Bool // the store did not answer: nothing more is received

	mu   sync.Mutex
	held map[job.ID]*holding

	receiveFails, keepFails, judgeFails, poisoned seldom.Line
}

// holding is a message that is held.
type holding struct {
	lane    queue.Queue
	message queue.Message
	hint    queue.Hint
	until   time.Time // hidden until then
	judged  bool      // the store was asked at least once
	running bool      // its job was seen in progress
}

// New builds a consumer; nothing runs before Run.
func New(c Config) *Consumer {
	if c.Beat <= 0 {
		c.Beat = 5 * time.Second
	}
	if c.Hide <= 0 {
		c.Hide = time.Minute
	}
	c.Hide = max(c.Hide, 3*c.Beat)
	if c.Grace <= 0 {
		c.Grace = longPoll
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	return &Consumer{Config: c, due: make(chan struct{}, 1), held: map[job.ID]*holding{}}
}

// Due receives when a hint named a job that is due: the worker may claim.
func (c *Consumer) Due() <-chan struct{} { return c.due }

// Run receives until ctx ends. Then it waits for receives that are under way, as
// long as the grace lets it, and gives back what it holds.
func (c *Consumer) Run(ctx context.Context) error {
	polling, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	context.AfterFunc(ctx, func() {
		c.Log.Info("waiting for the queue's last answer", "most", c.Grace)
		time.AfterFunc(c.Grace, cut)
	})
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var heart, lanes errgroup.Group
	heart.Go(func() error { c.beat(beating); return nil })
	for i, lane := range c.Lanes {
		lanes.Go(func() error { c.listen(ctx, polling, lane, share(i, len(c.Lanes))); return nil })
	}
	_ = lanes.Wait()
	stop()
	_ = heart.Wait()
	c.giveBack()
	return nil
}

// share is the part of the free slots that a lane may fill: each has twice that of
// the next.
func share(i, lanes int) func(free int) int {
	whole, part := 1<<lanes-1, 1<<(lanes-1-i)
	return func(free int) int {
		if free < 1 {
			return 0
		}
		return max(1, free*part/whole)
	}
}

// beat looks at what is held, again and again.
func (c *Consumer) beat(ctx context.Context) {
	tick := time.NewTicker(c.Beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.Pass(ctx)
		}
	}
}

// Pass is one look at what is held: what is settled is deleted, the rest extended.
func (c *Consumer) Pass(ctx context.Context) {
	c.judge(ctx, c.holdings())
	c.extend(ctx)
	c.mu.Lock()
	n := len(c.held)
	c.mu.Unlock()
	c.Metrics.HintsHeld(n)
}

// giveBack ends what is settled, and lets others have the rest at once.
func (c *Consumer) giveBack() {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	c.judge(ctx, c.holdings())
	for lane, hs := range byLane(c.holdings()) {
		c.failed(ctx, "return", lane, lane.Return(ctx, 0, messages(hs)...))
		for _, h := range hs {
			c.forget(h, Returned)
		}
	}
	c.Metrics.HintsHeld(0)
}

// holdings is what is held at this moment.
func (c *Consumer) holdings() []*holding {
	c.mu.Lock()
	defer c.mu.Unlock()
	hs := make([]*holding, 0, len(c.held))
	for _, h := range c.held {
		hs = append(hs, h)
	}
	return hs
}

// forget ends a holding, and counts how. False: somebody else ended it.
func (c *Consumer) forget(h *holding, outcome string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[h.hint.JobID] != h {
		return false
	}
	delete(c.held, h.hint.JobID)
	c.Metrics.HintEnded(outcome)
	return true
}

// failed counts, and says now and then, what the queue did not do. A message that is
// held by another by now is none of that.
func (c *Consumer) failed(ctx context.Context, act string, lane queue.Queue, errs []error) {
	var first error
	n := 0
	for _, err := range errs {
		if err == nil || errors.Is(err, queue.ErrGone) || errors.Is(err, queue.ErrHeldLong) {
			continue
		}
		if n++; first == nil {
			first = err
		}
	}
	if first == nil {
		return
	}
	c.Metrics.QueueFailed(act)
	if unsaid, now := c.keepFails.Say(); now {
		c.Log.WarnContext(ctx, "queue failed, messages may come again", "verb", act, "queue", lane.Name(), "count", n, "error", first.Error(), "unsaid", unsaid)
	}
}

func byLane(hs []*holding) map[queue.Queue][]*holding {
	lanes := map[queue.Queue][]*holding{}
	for _, h := range hs {
		lanes[h.lane] = append(lanes[h.lane], h)
	}
	return lanes
}

func messages(hs []*holding) []queue.Message {
	ms := make([]queue.Message, len(hs))
	for i, h := range hs {
		ms[i] = h.message
	}
	return ms
}

type noMetrics struct{}

func (noMetrics) HintEnded(string)   {}
func (noMetrics) HintsHeld(int)      {}
func (noMetrics) QueueFailed(string) {}
