package storetest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
)

// alertWalk does at random what happens to alerts: failures, fates, gates and
// deliverers of two processes, channels that refuse or fall silent, processes that
// die between the channel's answer and the mark.
type alertWalk struct {
	*bed
	rng      *rand.Rand
	handles  [2]Store
	mouths   []*mouth
	accepted map[string][]alert.Post // by channel
	told     int64                   // letters
}

func nothingIsLost(b *bed) {
	seed := rand.Uint64()
	b.Logf("seed %d", seed)
	w := &alertWalk{
		bed: b, rng: rand.New(rand.NewPCG(seed, 1)), handles: [2]Store{b.Store, b.second()}, accepted: map[string][]alert.Post{},
	}
	for _, name := range []string{"slack", "email"} {
		w.mouths = append(w.mouths, &mouth{name: name})
	}
	for range 150 {
		w.step()
	}
	w.settle()
	w.check()
}

func (w *alertWalk) step() {
	group := fmt.Sprintf("signature %d", w.rng.IntN(3))
	switch w.rng.IntN(8) {
	case 0, 1:
		w.tell(letter(group))
		w.told++
	case 2:
		if w.rng.IntN(3) == 0 {
			w.tell(over(letter(group), "redriven"))
		}
	case 3:
		w.Advance(time.Duration(w.rng.Int64N(int64(3 * time.Minute))))
	case 4, 5:
		w.gate()
	default:
		w.try(w.mouths[w.rng.IntN(2)], w.anyAnswer())
	}
	w.Advance(time.Second)
}

func (w *alertWalk) gate() {
	g := gateOn(w.handles[w.rng.IntN(2)], "slack", "email")
	g.Burst = 1000 // digests have a story of their own
	w.must(errorOf(g.Pass(w.ctx)))
}

// fall is how one try goes: the channel's answer, whether it took the message, and
// whether the process dies before it can record that.
type fall struct {
	receipt alert.Receipt
	took    bool
	dies    bool
}

func (w *alertWalk) anyAnswer() fall {
	switch w.rng.IntN(7) {
	case 0:
		return fall{receipt: alert.Receipt{Outcome: alert.Retry, Cause: "status 500"}}
	case 1:
		return fall{receipt: alert.Receipt{Outcome: alert.Retry, Cause: "timeout", Doubt: true}, took: w.rng.IntN(2) == 0}
	case 2:
		return fall{receipt: alert.Receipt{Outcome: alert.Retry, Cause: "status 429", After: 20 * time.Second}}
	case 3:
		return fall{receipt: alert.Receipt{Outcome: alert.Refused, Cause: "invalid_payload"}}
	case 4:
		return fall{receipt: alert.Receipt{Outcome: alert.Delivered}, took: true, dies: true}
	}
	return fall{receipt: alert.Receipt{Outcome: alert.Delivered}, took: true}
}

func (w *alertWalk) try(m *mouth, f fall) bool {
	m.answer = func(p alert.Post) alert.Receipt {
		if f.took {
			w.accepted[m.name] = append(w.accepted[m.name], p)
		}
		return f.receipt
	}
	d := deliverer(w.handles[w.rng.IntN(2)], m)
	if f.dies {
		d.Store = &breaking{d.Store, 1}
		d.Timeout, d.Hide = time.Millisecond, 2*time.Millisecond
	}
	sent, err := d.Send(w.ctx, m)
	if !f.dies {
		w.must(err)
	}
	return sent
}

// settle lets everything be said on channels that are well.
func (w *alertWalk) settle() {
	well := fall{receipt: alert.Receipt{Outcome: alert.Delivered}, took: true}
	calm := 0 // looks in a row; what a gate has just read is said a moment later
	for range 200 {
		w.Advance(5 * time.Minute)
		w.gate()
		for _, m := range w.mouths {
			for w.try(m, well) {
				w.Advance(time.Second)
			}
		}
		unread, due := w.pending()
		if calm++; unread || due || len(w.undelivered()) > 0 {
			calm = 0
		}
		if calm == 2 {
			return
		}
	}
	w.Fatalf("%d messages are still undelivered", len(w.undelivered()))
}

func (w *alertWalk) check() {
	alerts := w.alerts(alert.Filter{All: true, Limit: 1000, Kind: job.AlertDeadLetters})
	var count int64
	for _, a := range alerts {
		count += a.Count
	}
	w.equal("letters in alerts", count, w.told)
	for _, m := range w.mouths {
		posts := w.accepted[m.name]
		w.complete(m.name, alerts, posts)
		w.inOrder(m.name, posts)
		w.honest(m.name, posts)
	}
}

// complete checks that what was said arrived.
func (w *alertWalk) complete(channel string, alerts []alert.Alert, posts []alert.Post) {
	arrived := map[job.ID]map[alert.Reason]bool{}
	for _, p := range posts {
		if arrived[p.Message.AlertID] == nil {
			arrived[p.Message.AlertID] = map[alert.Reason]bool{}
		}
		arrived[p.Message.AlertID][p.Message.Reason] = true
	}
	for _, a := range alerts {
		if a.SaidAt.IsZero() {
			if a.State != alert.Resolved {
				w.Errorf("nobody was told of %s, %s", a.Group, a.State)
			}
			continue
		}
		if !arrived[a.ID][alert.First] {
			w.Errorf("%s never heard of %s", channel, a.Group)
		}
		if a.State == alert.Resolved && !arrived[a.ID][alert.Over] {
			w.Errorf("%s never heard that %s is over", channel, a.Group)
		}
	}
}

// inOrder checks the order within the group: of its alerts, and of each one's messages.
func (w *alertWalk) inOrder(channel string, posts []alert.Post) {
	last := map[string]alert.Post{}
	seen := map[job.ID]bool{}
	for _, p := range posts {
		if seen[p.ID] {
			continue
		}
		seen[p.ID] = true
		before, any := last[p.Message.Group]
		last[p.Message.Group] = p
		switch {
		case !any || before.Message.AlertID != p.Message.AlertID:
			if p.Message.Reason != alert.First || any && before.Message.AlertID.String() > p.Message.AlertID.String() {
				w.Errorf("%s heard %q of alert %s first", channel, p.Message.Reason, p.Message.AlertID)
			}
		case before.Message.Reason == alert.Over, p.Message.Reason == alert.First, p.Message.Count < before.Message.Count:
			w.Errorf("%s heard %q (%d) after %q (%d)", channel, p.Message.Reason, p.Message.Count, before.Message.Reason, before.Message.Count)
		}
	}
}

// honest checks that no message is repeated without saying so.
func (w *alertWalk) honest(channel string, posts []alert.Post) {
	times := map[job.ID]int{}
	for _, p := range posts {
		if times[p.ID]++; times[p.ID] > 1 && p.Repeat.IsZero() {
			w.Errorf("%s got a message twice, and the second does not say so", channel)
		}
	}
}
