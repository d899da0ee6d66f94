package storetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/job"
)

var deliveryPromises = []promise{
	{name: "OrderIsKeptAndAFailureHoldsUpItsOwnLaneAlone", holds: lanesKeepOrder},
	{name: "TwoDeliverersSendOne", holds: deliverersShare},
	{name: "ACutOffAttemptIsRepeatedAndSaysSo", holds: repeatsSaySo},
	{name: "LateMessagesSaySo", holds: lateSaysSo},
	{name: "AnAskedForPauseIsKeptByAll", holds: pausesAreKept},
	{name: "AClosedChannelIsToldOnTheOthersAndTriedSeldom", holds: closedChannel},
	{name: "AFailingChannelIsToldAfterAWhile", holds: failingChannel},
	{name: "ARefusedMessageIsParkedShownAndTriedSeldom", holds: parkedMessage},
	{name: "ANewTargetIsANewChance", holds: newTarget},
	{name: "BacklogsTellWhatWaits", holds: backlogs},
	{name: "NothingIsLostOutOfOrderOrRepeatedSilentlyWhateverDies", holds: nothingIsLost},
}

// mouth is a channel whose answers the suite chooses. Without a word it takes all.
type mouth struct {
	name, target string
	mu           sync.Mutex
	said         []alert.Post
	answer       func(alert.Post) alert.Receipt
}

func (m *mouth) Channel() string       { return m.name }
func (m *mouth) Target() string        { return "target " + m.target }
func (m *mouth) Least() alert.Severity { return alert.Info }

func (m *mouth) Send(_ context.Context, p alert.Post) alert.Receipt {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = append(m.said, p)
	if m.answer == nil {
		return alert.Receipt{Outcome: alert.Delivered}
	}
	return m.answer(p)
}

// answers makes the channel give the same answer from now on.
func (m *mouth) answers(r alert.Receipt) {
	m.answer = func(alert.Post) alert.Receipt { return r }
}

func deliverer(s alert.Store, mouths ...*mouth) *alert.Deliverer {
	c := alert.DelivererConfig{
		Store: s, Log: muted, Backoff: backoff.Policy{Base: 2 * time.Second, Cap: time.Minute, Jitter: func() float64 { return 0.99 }},
	}
	for _, m := range mouths {
		c.Notifiers = append(c.Notifiers, m)
	}
	return alert.NewDeliverer(c)
}

// send tries one message of the first channel; pause is spent first, for its pace.
func (b *bed) send(d *alert.Deliverer) bool {
	b.Helper()
	b.Advance(time.Second)
	sent, err := d.Send(b.ctx, d.Notifiers[0])
	b.must(err)
	return sent
}

// raise says one message about each signature, in order.
func (b *bed) raise(gates [2]*alert.Gate, signatures ...string) {
	b.Helper()
	for _, s := range signatures {
		b.tell(letter(s))
		b.pass(gates)
		b.Advance(settle)
		b.pass(gates)
	}
}

func groupsOf(posts []alert.Post) (list []string) {
	for _, p := range posts {
		list = append(list, string(p.Message.Reason)+" "+p.Message.Groups[0].Signature)
	}
	return list
}

func lanesKeepOrder(b *bed) {
	gates := b.gates("slack")
	b.raise(gates, "a", "b")
	b.tell(over(letter("a"), "redriven"))
	b.tell(over(letter("b"), "redriven"))
	b.pass(gates)
	m := &mouth{name: "slack"}
	m.answer = func(p alert.Post) alert.Receipt {
		if p.Message.Groups[0].Signature == "a" {
			return alert.Receipt{Outcome: alert.Retry, Cause: "status 500"}
		}
		return alert.Receipt{Outcome: alert.Delivered}
	}
	d := deliverer(b.Store, m)
	for range 20 {
		b.send(d)
	}
	m.mu.Lock()
	arrived := groupsOf(m.said)
	m.answer = nil
	m.mu.Unlock()
	count := map[string]int{}
	for _, g := range arrived {
		count[g]++
	}
	if count["first b"] != 1 || count["resolved b"] != 1 || count["resolved a"] != 0 || count["first a"] < 2 {
		b.Fatalf("tried %v; want both of b once, and of a nothing but the first, again and again", arrived)
	}
	tried := len(m.said)
	b.Advance(2 * time.Minute)
	for b.send(d) {
	}
	b.equal("what was left, in order", groupsOf(m.said[tried:]), []string{"first a", "resolved a"})
	b.equal("undelivered", len(b.undelivered()), 0)
}

func deliverersShare(b *bed) {
	gates := b.gates("slack")
	b.raise(gates, "a", "b", "c", "d")
	m := &mouth{name: "slack"}
	for range 20 {
		b.Advance(time.Second)
		b.atOnce(4, func(_ int, s Store) {
			if _, err := deliverer(s, m).Send(b.ctx, m); err != nil {
				b.Errorf("send: %v", err)
			}
		})
	}
	b.equal("sent, in order", groupsOf(m.said), []string{"first a", "first b", "first c", "first d"})
}

// breaking is a store that loses every update after the first so many.
type breaking struct {
	alert.Store
	left int
}

func (s *breaking) Update(ctx context.Context, act func(alert.Tx) error) error {
	if s.left == 0 {
		return errors.New("the process is dead")
	}
	s.left--
	return s.Store.Update(ctx, act)
}

func repeatsSaySo(b *bed) {
	gates := b.gates("slack")
	b.raise(gates, "a")
	m := &mouth{name: "slack"}
	dying := deliverer(&breaking{b.Store, 1}, m)
	dying.Timeout, dying.Hide = 5*time.Millisecond, 10*time.Millisecond
	b.Advance(time.Second)
	at := b.now()
	if _, err := dying.Send(b.ctx, m); err == nil {
		b.Fatal("the mark of a process that died was taken")
	}
	dying.Hide = time.Minute
	b.equal("what the first said of a repeat", m.said[0].Repeat, time.Time{})
	b.Advance(2 * time.Minute)
	d := deliverer(b.Store, m)
	b.equal("sent again", b.send(d), true)
	b.within("the attempt that it may repeat", m.said[1].Repeat, at, b.now())
	b.equal("the same message", m.said[1].ID, m.said[0].ID)
	b.equal("sent a third time", b.send(d), false)

	// So does one whose answer never came; one that was clearly not taken does not.
	b.raise(gates, "b", "c")
	m.answer = func(p alert.Post) alert.Receipt {
		return alert.Receipt{Outcome: alert.Retry, Cause: "timeout", Doubt: p.Message.Groups[0].Signature == "b"}
	}
	b.send(d)
	b.send(d)
	m.answer = nil
	b.Advance(2 * time.Minute)
	tried := len(m.said)
	b.send(d)
	b.send(d)
	doubts := map[string]bool{}
	for _, p := range m.said[tried:] {
		doubts[p.Message.Groups[0].Signature] = !p.Repeat.IsZero()
	}
	b.equal("may be a repeat", doubts, map[string]bool{"b": true, "c": false})
}

func lateSaysSo(b *bed) {
	gates := b.gates("slack")
	b.raise(gates, "a")
	m := &mouth{name: "slack"}
	b.send(deliverer(b.Store, m))
	b.equal("late by", m.said[0].Late, time.Duration(0))
	b.raise(gates, "b")
	b.Advance(42 * time.Minute)
	b.send(deliverer(b.Store, m))
	if late := m.said[1].Late; late < 42*time.Minute || late > 43*time.Minute {
		b.Errorf("late by %s, want 42 minutes and a little", late)
	}
}

func pausesAreKept(b *bed) {
	gates := b.gates("slack")
	b.raise(gates, "a", "b")
	m := &mouth{name: "slack"}
	m.answers(alert.Receipt{Outcome: alert.Retry, After: 30 * time.Second, Cause: "429"})
	d, other := deliverer(b.Store, m), deliverer(b.second(), m)
	b.equal("sent", b.send(d), true)
	m.answer = nil
	b.equal("sent while it asks for a pause", b.send(d), false)
	b.equal("sent by another process", b.send(other), false)
	sendable, err := b.Store.Sendable(b.ctx, "slack")
	b.must(err)
	b.equal("sendable", sendable, false)
	b.Advance(30 * time.Second)
	b.equal("sent after it", b.send(other), true)
	b.equal("sent within a second", errorOf(other.Send(b.ctx, m)), nil)
	b.equal("messages tried", len(m.said), 2)
}

func closedChannel(b *bed) {
	gates := b.gates("slack", "email")
	b.raise(gates, "a", "b")
	slack, email := &mouth{name: "slack"}, &mouth{name: "email"}
	slack.answers(alert.Receipt{Outcome: alert.Closed, Cause: "410 channel_is_archived"})
	d := deliverer(b.Store, slack)
	b.equal("tried", b.send(d), true)
	b.equal("tried again", b.send(d), false)
	b.Advance(time.Minute)
	b.equal("tried after a minute", b.send(d), false)
	b.pass(gates)
	b.Advance(settle)
	b.pass(gates)
	b.deliverAllOf(email)
	last := email.said[len(email.said)-1].Message
	b.equal("what email hears", []any{last.Kind, last.Text}, []any{job.AlertChannelDown, "slack refuses every message: 410 channel_is_archived"})
	for _, d := range b.undelivered() {
		if d.Message.Kind == job.AlertChannelDown {
			b.Error("slack is told that slack is down")
		}
	}

	slack.answer = nil
	b.Advance(15 * time.Minute)
	b.equal("tried after a while", b.send(d), true)
	b.pass(gates)
	b.deliverAllOf(email)
	last = email.said[len(email.said)-1].Message
	b.equal("what email hears then", []any{last.Kind, last.Reason}, []any{job.AlertChannelDown, alert.Over})
	b.deliverAllOf(slack)
	b.equal("what slack heard, in order", groupsOf(slack.said), []string{"first a", "first a", "first b"})
}

// deliverAllOf sends what can be sent on a channel.
func (b *bed) deliverAllOf(m *mouth) {
	b.Helper()
	d := deliverer(b.Store, m)
	for b.send(d) {
	}
}

func failingChannel(b *bed) {
	gates := b.gates("slack", "email")
	b.raise(gates, "a")
	slack := &mouth{name: "slack"}
	slack.answers(alert.Receipt{Outcome: alert.Retry, Cause: "connection refused"})
	d := deliverer(b.Store, slack)
	for range 3 {
		b.send(d)
		b.Advance(time.Minute)
	}
	downs := func() int64 { return b.numberOf("events", "type = 'alert.channel_down'") }
	b.equal("told after 3 minutes", downs(), int64(0))
	for range 5 {
		b.send(d)
		b.Advance(time.Minute)
	}
	b.equal("told after 8 minutes", downs(), int64(1))
	b.pass(gates)
	a := b.alerts(alert.Filter{Kind: job.AlertChannelDown})
	if len(a) != 1 || a[0].Name != "slack" {
		b.Errorf("alerts about channels: %v", a)
	}
}

func parkedMessage(b *bed) {
	gates := b.gates("slack", "email")
	b.raise(gates, "a", "b")
	slack := &mouth{name: "slack"}
	slack.answer = func(p alert.Post) alert.Receipt {
		if p.Message.Groups[0].Signature == "a" {
			return alert.Receipt{Outcome: alert.Refused, Cause: "invalid_payload"}
		}
		return alert.Receipt{Outcome: alert.Delivered}
	}
	d := deliverer(b.Store, slack)
	for range 30 {
		b.send(d)
	}
	tries := 0
	for _, p := range slack.said {
		if p.Message.Groups[0].Signature == "a" {
			b.equal("plain after a refusal", p.Plain, tries > 0)
			tries++
		}
	}
	b.equal("tries before it is parked", tries, 3)
	b.equal("all tries", len(slack.said), 4)
	backlog := b.backlogOf("slack")
	b.equal("waiting, parked", []any{backlog.Waiting, backlog.Parked}, []any{int64(1), int64(1)})
	b.Advance(15 * time.Minute)
	b.equal("tried seldom", b.send(d), true)
	b.pass(gates)
	parked := b.alerts(alert.Filter{Kind: job.AlertChannelDown})
	if len(parked) != 1 || parked[0].Name != "slack:parked" {
		b.Fatalf("alerts about channels: %v", parked)
	}
	b.must(errorOf(alert.Ack(b.ctx, b.Store, parked[0].ID, staff)))
	b.equal("parked after a person has seen it", b.backlogOf("slack").Parked, int64(0))
}

func (b *bed) backlogOf(channel string) alert.Backlog {
	b.Helper()
	list, err := b.Store.Backlogs(b.ctx)
	b.must(err)
	for _, l := range list {
		if l.Name == channel {
			return l
		}
	}
	return alert.Backlog{}
}

func newTarget(b *bed) {
	gates := b.gates("slack")
	b.raise(gates, "a")
	slack := &mouth{name: "slack", target: "old"}
	slack.answers(alert.Receipt{Outcome: alert.Closed, Cause: "404 no_service"})
	// Run begins with where the channel leads; it ends with its context.
	run := func(m *mouth, until func() bool) {
		b.Helper()
		ctx, stop := context.WithCancel(b.ctx)
		done := make(chan error, 1)
		go func() { done <- deliverer(b.Store, m).Run(ctx) }()
		b.eventually("the channel's answer", until)
		stop()
		b.must(<-done)
	}
	held := func() bool { return !b.backlogOf("slack").HeldAt.IsZero() }
	run(slack, held)
	mended := &mouth{name: "slack", target: "new"}
	run(mended, func() bool { return len(b.undelivered()) == 0 })
	b.equal("what the new target heard", groupsOf(mended.said), []string{"first a"})
	b.equal("held", held(), false)
}

func backlogs(b *bed) {
	gates := b.gates("slack")
	b.raise(gates, "a", "b")
	first := b.undelivered()[0].DueAt
	slack := &mouth{name: "slack"}
	slack.answers(alert.Receipt{Outcome: alert.Retry, Cause: "connection refused"})
	d := deliverer(b.Store, slack)
	b.send(d)
	got := b.backlogOf("slack")
	b.equal("waiting, parked, oldest, failures, error", []any{got.Waiting, got.Parked, got.OldestDue, got.Failures, got.Error},
		[]any{int64(2), int64(0), first, 1, "connection refused"})
	slack.answer = nil
	b.Advance(time.Minute)
	b.deliverAllOf(slack)
	got = b.backlogOf("slack")
	b.equal("after", []any{got.Waiting, got.OldestDue, got.Failures, got.Error, got.GoodAt.IsZero()},
		[]any{int64(0), time.Time{}, 0, "", false})
}
