package storetest

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
)

var alertPromises = []promise{
	{name: "FirstSightIsSaidOnceOnEachChannel", holds: firstSight},
	{name: "GrowthIsSaidWithSpaceBetween", holds: growth},
	{name: "WhatIsToldAsAWholeIsNotCountedTwice", holds: wholes},
	{name: "RemindersComeEverMoreSeldomUntilAcknowledged", holds: reminders},
	{name: "ASilenceHoldsForTheGroupAndEnds", holds: silences},
	{name: "WhatIsOverIsSaidAndClosed", holds: resolution},
	{name: "AFloodIsOneDigest", holds: floods},
	{name: "WhatComesAfterADigestIsTheNextWithinSeconds", holds: gathering},
	{name: "FewDeadLettersStayBelowTheThreshold", holds: thresholds},
	{name: "WhatOnlyPassesEndsByItself", holds: passing},
	{name: "CanariesAreApart", holds: canariesApart},
	{name: "AlertsWaitForAChannel", holds: alertsWithoutChannel},
	{name: "AFailedUpdateChangesNothing", holds: updatesAreWhole},
	{name: "AlertsAreListed", holds: alertsAreListed},
	{name: "ResolvedAlertsAndSentMessagesAreForgotten", holds: alertsAreForgotten},
}

// Spans of the gates under test. The clock is in the suite's hand, but it may run: no
// machine is so slow that a span is over by itself.
const (
	settle  = 30 * time.Second
	spacing = 4 * time.Minute
)

var muted = slog.New(slog.NewTextHandler(io.Discard, nil))

func gateOn(s alert.Store, channels ...string) *alert.Gate {
	c := alert.GateConfig{Store: s, Settle: settle, Spacing: spacing, Log: muted}
	for _, name := range channels {
		c.Audiences = append(c.Audiences, alert.Audience{Channel: name})
	}
	return alert.NewGate(c)
}

// gates are two on the same data, as in two processes.
func (b *bed) gates(channels ...string) [2]*alert.Gate {
	b.Helper()
	return [2]*alert.Gate{gateOn(b.Store, channels...), gateOn(b.second(), channels...)}
}

// pass lets both gates pass, and returns how many deliveries they made.
func (b *bed) pass(gates [2]*alert.Gate) (deliveries int) {
	b.Helper()
	for _, g := range gates {
		p, err := g.Pass(b.ctx)
		b.must(err)
		deliveries += p.Deliveries
	}
	return deliveries
}

func (b *bed) tell(n job.Notice) {
	b.Helper()
	if n.Key == "" {
		n.Key = job.NewID().String()
	}
	b.must(b.Store.Tell(b.ctx, job.Event{Type: "test.told"}, &n))
}

// letter is a notice of one dead letter.
func letter(signature string) job.Notice {
	return job.Notice{
		Alert: job.AlertDeadLetters, Group: signature, Signature: signature, ValueCents: 14900, JobIDs: []job.ID{job.NewID()},
		CustomerID: job.NewID(), JobKind: job.KindOrder, Cause: "status 404", Class: job.ClassPermanent,
	}
}

func over(n job.Notice, how string) job.Notice {
	return job.Notice{Alert: n.Alert, Group: n.Group, Canary: n.Canary, Resolved: true, Text: how}
}

// undelivered are the messages that wait, in order.
func (b *bed) undelivered() []alert.Delivery {
	b.Helper()
	list, err := b.Store.Undelivered(b.ctx, 1000)
	b.must(err)
	return list
}

// said are the reasons of the messages that wait for a channel, in order.
func (b *bed) said(channel string) (reasons []string) {
	b.Helper()
	for _, d := range b.undelivered() {
		if d.Channel == channel {
			reasons = append(reasons, string(d.Message.Reason))
		}
	}
	return reasons
}

func (b *bed) alerts(f alert.Filter) []alert.Alert {
	b.Helper()
	list, err := b.Store.Alerts(b.ctx, f)
	b.must(err)
	return list
}

// theAlert is the only one that is not resolved.
func (b *bed) theAlert() alert.Alert {
	b.Helper()
	list := b.alerts(alert.Filter{})
	if len(list) != 1 {
		b.Fatalf("%d alerts, want 1", len(list))
	}
	return list[0]
}

func (b *bed) pending() (unread, due bool) {
	b.Helper()
	unread, due, err := b.Store.Pending(b.ctx)
	b.must(err)
	return unread, due
}

func firstSight(b *bed) {
	gates := b.gates("slack", "email")
	unread, due := b.pending()
	b.equal("pending before", []bool{unread, due}, []bool{false, false})
	j := b.running(order())
	from := b.now()
	b.fail(j.Lease(), job.Failure{Cause: "status 404 <!channel>", Class: job.ClassPermanent, Permanent: true})
	unread, _ = b.pending()
	b.equal("a notice is unread", unread, true)
	b.equal("deliveries before it has settled", b.pass(gates), 0)
	b.equal("events of the alert", b.numberOf("events", "type = 'alert.raised'"), int64(1))
	b.Advance(settle)
	_, due = b.pending()
	b.equal("the alert is due", due, true)
	b.equal("deliveries after it", b.pass(gates), 2)
	b.equal("deliveries of further passes", b.pass(gates), 0)
	unread, due = b.pending()
	b.equal("pending after", []bool{unread, due}, []bool{false, false})

	a := b.theAlert()
	dead := b.job(j.ID)
	b.equal("kind, group, severity, state", []any{a.Kind, a.Group, a.Severity, a.State},
		[]any{job.AlertDeadLetters, "dead_letters:" + dead.Signature, alert.Page, alert.Open})
	b.equal("count, cents, customers", []any{a.Count, a.ValueCents, a.Customers}, []any{int64(1), j.ValueCents, []job.ID{j.CustomerID}})
	b.within("first seen", a.FirstAt, from, b.now())
	b.equal("sample", a.Samples, []alert.Sample{{JobID: j.ID, CustomerID: j.CustomerID, Cause: dead.Cause, At: dead.FinishedAt}})
	for i, d := range b.undelivered() {
		b.equal("channel", d.Channel, []string{"slack", "email"}[i])
		b.equal("due", d.DueAt, a.FirstAt)
		b.equal("reason, alert, value", []any{d.Message.Reason, d.AlertID, d.Message.ValueCents}, []any{alert.First, a.ID, j.ValueCents})
		b.equal("examples", d.Message.Groups[0].Jobs, []job.ID{j.ID})
	}
}

func growth(b *bed) {
	gates := b.gates("slack")
	b.tell(letter("a"))
	b.pass(gates)
	b.Advance(settle)
	b.equal("first", b.pass(gates), 1)
	b.tell(letter("a"))
	b.equal("growth at once", b.pass(gates), 0)
	once := letter("a")
	again := once
	again.Redrives = 1
	b.tell(once)
	b.tell(again)
	b.Advance(spacing)
	b.equal("growth after a while", b.pass(gates), 1)
	list := b.undelivered()
	b.equal("messages", b.said("slack"), []string{"first", "grown"})
	m := list[1].Message
	b.equal("count, fresh, again, customers", []any{m.Count, m.Fresh, m.Again, m.Customers}, []any{int64(4), int64(3), int64(1), 3})
	b.equal("value of a job that died twice", m.ValueCents, int64(3*14900))

	// What waits and was never tried is replaced, so that nobody hears of every hour
	// of a day in which the channel was away.
	b.tell(letter("a"))
	b.Advance(spacing)
	b.equal("further growth", b.pass(gates), 1)
	b.equal("messages", b.said("slack"), []string{"first", "grown"})
	later := b.undelivered()[1]
	b.equal("count", later.Message.Count, int64(5))
	b.equal("still due as the replaced one", later.DueAt, list[1].DueAt)
}

func wholes(b *bed) {
	gates := b.gates("slack")
	b.tell(letter("a"))
	b.tell(letter("a"))
	b.pass(gates)
	b.Advance(settle)
	b.pass(gates)
	again := letter("a")
	again.Whole, again.Count, again.ValueCents = true, 2, 29800
	b.tell(again)
	b.pass(gates)
	b.Advance(spacing)
	b.equal("messages about what was told", b.pass(gates), 0)
	again.Key, again.Count, again.ValueCents = "", 3, 44700
	b.tell(again)
	b.equal("messages about one more", b.pass(gates), 1)
	m := b.undelivered()[1].Message
	b.equal("count, fresh, cents", []any{m.Count, m.Fresh, m.ValueCents}, []any{int64(3), int64(1), int64(44700)})
}

func reminders(b *bed) {
	gates := b.gates("slack")
	b.tell(letter("a"))
	b.pass(gates)
	b.Advance(settle)
	b.pass(gates)
	// deliverAll empties the channel, so that reminders do not replace each other.
	step := func(wait time.Duration, want int) {
		b.Helper()
		b.deliverAll("slack")
		b.Advance(wait)
		b.equal("messages after "+wait.String(), b.pass(gates), want)
	}
	step(59*time.Minute, 0)
	step(2*time.Minute, 1)
	step(3*time.Hour, 0)
	step(61*time.Minute, 1)
	step(23*time.Hour, 0)
	step(61*time.Minute, 1)
	step(25*time.Hour, 1)

	a, err := alert.Ack(b.ctx, b.Store, b.theAlert().ID, staff)
	b.must(err)
	b.equal("state", a.State, alert.Acked)
	step(0, 1)
	step(100*24*time.Hour, 0)
	b.tell(letter("a"))
	step(0, 1) // growth is told all the same
	b.equal("last message", b.said("slack"), []string{"grown"})
	b.equal("history", b.numberOf("events", "type = 'alert.acknowledged' AND actor = 'cli:ann'"), int64(1))

	b.fails("acknowledging nothing", errorOf(alert.Ack(b.ctx, b.Store, job.NewID(), staff)), job.ErrNotFound)
	b.tell(over(letter("a"), "redriven"))
	b.pass(gates)
	b.fails("acknowledging what is over", errorOf(alert.Ack(b.ctx, b.Store, a.ID, staff)), job.ErrState)
}

func silences(b *bed) {
	gates := b.gates("slack")
	b.tell(letter("a"))
	b.pass(gates)
	a, err := alert.SilenceFor(b.ctx, b.Store, b.theAlert().ID, 2*time.Hour, staff)
	b.must(err)
	b.equal("state, why", []any{a.State, a.Silence.Reason}, []any{alert.Silenced, staff.Reason})
	b.Advance(settle)
	b.equal("messages while silent", b.pass(gates), 0)
	b.tell(over(letter("a"), "redriven"))
	b.equal("the end of what was never said", b.pass(gates), 0)
	b.tell(letter("a"))
	b.Advance(time.Hour)
	b.equal("the group's next alert while silent", b.pass(gates), 0)
	b.equal("its state", b.theAlert().State, alert.Silenced)
	b.Advance(time.Hour)
	b.equal("messages after the silence", b.pass(gates), 1)
	b.equal("reason", b.said("slack"), []string{"first"})

	_, err = alert.SilenceFor(b.ctx, b.Store, b.theAlert().ID, time.Hour, staff)
	b.must(err)
	b.Advance(30 * time.Minute)
	a, err = alert.Unsilence(b.ctx, b.Store, b.theAlert().ID, staff)
	b.must(err)
	b.equal("state", a.State, alert.Open)
	b.tell(letter("a"))
	b.equal("messages after unsilence", b.pass(gates), 1)
}

func resolution(b *bed) {
	gates := b.gates("slack")
	b.tell(over(letter("a"), "nobody ever heard of it"))
	b.equal("messages about the end of nothing", b.pass(gates), 0)
	b.tell(letter("a"))
	b.pass(gates)
	b.Advance(settle)
	b.pass(gates)
	first := b.theAlert()
	b.tell(over(letter("a"), "3 redriven and done"))
	b.equal("messages", b.pass(gates), 1)
	b.equal("in order", b.said("slack"), []string{"first", "resolved"})
	got, err := b.Store.Alert(b.ctx, first.ID)
	b.must(err)
	b.equal("state, how", []any{got.State, got.Resolution}, []any{alert.Resolved, "3 redriven and done"})
	b.equal("note", b.undelivered()[1].Message.Note, "3 redriven and done")
	b.equal("events", b.numberOf("events", "type = 'alert.resolved'"), int64(1))
	b.tell(over(letter("a"), "again"))
	b.equal("messages about the same end", b.pass(gates), 0)

	b.tell(letter("a"))
	b.pass(gates)
	b.Advance(settle)
	b.equal("messages about the next", b.pass(gates), 1)
	if next := b.theAlert(); next.ID == first.ID || next.Count != 1 {
		b.Errorf("what came after the end is alert %s with count %d, want another with 1", next.ID, next.Count)
	}
}

func floods(b *bed) {
	gates := b.gates("slack", "email")
	const letters, signatures = 450, 30
	for i := range letters {
		b.tell(letter(fmt.Sprintf("signature %02d", i%signatures)))
	}
	b.pass(gates)
	b.Advance(settle)
	b.equal("messages", b.pass(gates), 2)
	d := b.undelivered()[0]
	b.equal("alerts, count, cents, customers", []any{d.Message.Alerts, d.Message.Count, d.Message.ValueCents, d.Message.Customers},
		[]any{signatures, int64(letters), int64(letters * 14900), letters})
	b.equal("signatures shown", len(d.Message.Groups), 5)

	b.tell(letter("one more"))
	b.pass(gates)
	b.Advance(settle)
	b.equal("messages about a new signature", b.pass(gates), 2)
	for i := range signatures {
		b.tell(letter(fmt.Sprintf("signature %02d", i)))
	}
	b.equal("growth of all so soon after", b.pass(gates), 0)
	b.Advance(spacing)
	b.equal("growth after a while", b.pass(gates), 2)

	b.Advance(spacing)
	for i := range signatures - 1 {
		b.tell(over(letter(fmt.Sprintf("signature %02d", i)), "redriven"))
	}
	b.equal("messages about the end", b.pass(gates), 2)
	b.equal("in order", b.said("slack"), []string{"first", "first", "grown", "resolved"})
	last := b.undelivered()
	b.equal("of how many, and how many are left", []any{last[len(last)-1].Message.Alerts, last[len(last)-1].Message.Left}, []any{signatures - 1, 1})
}

// gathering: five are said singly, the sixth as a digest that names it, and what comes
// so soon after that it must wait is one digest, though by then few are left.
func gathering(b *bed) {
	const settle, gather = 10 * time.Second, 30 * time.Second
	g := alert.NewGate(alert.GateConfig{
		Store: b.Store, Settle: settle, Spacing: spacing, Gather: gather, Log: muted, Audiences: []alert.Audience{{Channel: "slack"}},
	})
	pass := func(want int) {
		b.Helper()
		p, err := g.Pass(b.ctx)
		b.must(err)
		b.equal("messages", p.Deliveries, want)
	}
	tell := func(signatures ...string) {
		b.Helper()
		for _, s := range signatures {
			b.tell(letter(s))
		}
		pass(0)
		b.Advance(settle)
	}
	tell("a", "b", "c", "d", "e")
	pass(5)
	b.Advance(spacing - 40*time.Second)
	tell("f")
	pass(1)
	sixth := b.undelivered()[5].Message
	b.equal("alerts, count", []any{sixth.Alerts, sixth.Count, len(sixth.Groups)}, []any{1, int64(1), 1})
	b.equal("the group as dlq names it", sixth.Groups[0].Letters, job.GroupID("f"))

	said := b.now()
	tell("g", "h", "i")
	pass(0)
	unsaid := 0
	for _, a := range b.alerts(alert.Filter{}) {
		if m, waits := a.Unsaid(); waits {
			unsaid++
			b.equal("reason", m.Reason, alert.First)
			b.within("held until", a.SayAt, said.Add(gather-time.Second), said.Add(gather))
		}
	}
	b.equal("held back", unsaid, 3)
	b.Advance(gather)
	pass(1)
	last := b.undelivered()[6]
	b.equal("alerts of the next digest", []any{last.Message.Alerts, last.Message.Digest()}, []any{3, true})
	for _, a := range b.alerts(alert.Filter{}) {
		if _, waits := a.Unsaid(); waits || !a.HeldUntil.IsZero() {
			b.Errorf("%s waits until %s, want everything said", a.Name, a.HeldUntil)
		}
	}

	// Growth of all, later: it is one digest, and does not hold up what is new.
	b.Advance(spacing)
	for _, s := range []string{"f", "g", "h", "i"} {
		b.tell(letter(s))
	}
	pass(1)
	tell("j", "k", "l", "m", "n", "o")
	pass(1)
	b.equal("messages", b.said("slack")[7:], []string{"grown", "first"})
}

func thresholds(b *bed) {
	g := alert.NewGate(alert.GateConfig{
		Store: b.Store, Settle: settle, Threshold: 3, Log: muted, Audiences: []alert.Audience{{Channel: "slack"}},
	})
	pass := func() int {
		b.Helper()
		b.Advance(10 * settle)
		p, err := g.Pass(b.ctx)
		b.must(err)
		return p.Deliveries
	}
	b.tell(letter("a"))
	b.tell(letter("b"))
	pass()
	b.equal("messages about two", pass(), 0)
	b.tell(letter("a"))
	pass()
	pass()
	b.equal("messages about three", b.said("slack"), []string{"first", "first"})
	b.tell(job.Notice{Alert: job.AlertStorm})
	pass()
	b.equal("messages about another kind", pass(), 1)
}

func passing(b *bed) {
	gates := b.gates("slack")
	b.tell(job.Notice{Alert: job.AlertStaleRecovered, Group: "liveness", Text: "2 jobs taken back"})
	b.pass(gates)
	b.Advance(settle)
	b.equal("first", b.pass(gates), 1)
	b.Advance(30 * time.Minute)
	b.equal("reminders", b.pass(gates), 0)
	b.Advance(time.Hour)
	b.equal("messages about its end", b.pass(gates), 0)
	b.equal("alerts", len(b.alerts(alert.Filter{})), 0)
	_, due := b.pending()
	b.equal("due", due, false)
}

func canariesApart(b *bed) {
	gates := b.gates("slack")
	canary := letter("a")
	canary.Canary = true
	b.tell(canary)
	b.tell(letter("a"))
	b.pass(gates)
	b.Advance(settle)
	b.equal("messages", b.pass(gates), 2)
	for _, a := range b.alerts(alert.Filter{}) {
		want := []any{int64(14900), alert.Page}
		if a.Canary {
			want = []any{int64(0), alert.Info}
		}
		b.equal("cents, severity", []any{a.ValueCents, a.Severity}, want)
	}
	// Each letter has a fate of its own.
	b.tell(over(letter("a"), "redriven"))
	b.pass(gates)
	left := b.alerts(alert.Filter{})
	if len(left) != 1 || !left[0].Canary {
		b.Errorf("alerts after the end of the customer's: %+v, want the canary's", left)
	}
	b.tell(over(canary, "redriven"))
	b.pass(gates)
	b.equal("alerts after the end", len(b.alerts(alert.Filter{})), 0)
}

func alertsWithoutChannel(b *bed) {
	silent := gateOn(b.Store)
	b.tell(letter("a"))
	b.must(errorOf(silent.Pass(b.ctx)))
	b.Advance(42 * time.Minute)
	b.must(errorOf(silent.Pass(b.ctx)))
	b.equal("count", b.theAlert().Count, int64(1))
	b.equal("deliveries", len(b.undelivered()), 0)
	b.equal("said when there is a channel", b.pass(b.gates("slack")), 1)
}

func updatesAreWhole(b *bed) {
	b.tell(letter("a"))
	broken := fmt.Errorf("no room")
	err := b.Store.Update(b.ctx, func(tx alert.Tx) error {
		messages, err := tx.Notices(10)
		b.must(err)
		b.equal("notices", len(messages), 1)
		b.must(tx.MarkSent(messages[0].ID))
		left, err := tx.Notices(10)
		b.must(err)
		b.equal("notices after the mark", len(left), 0)
		return broken
	})
	b.fails("update", err, broken)
	unread, _ := b.pending()
	b.equal("the notice is unread", unread, true)
}

func alertsAreListed(b *bed) {
	gates := b.gates("slack")
	for _, n := range []job.Notice{letter("a"), letter("b"), {Alert: job.AlertStorm, Group: "liveness"}} {
		b.tell(n)
		b.pass(gates)
		b.Advance(time.Minute)
	}
	b.tell(over(letter("a"), "redriven"))
	b.pass(gates)
	names := func(f alert.Filter) string {
		b.Helper()
		var list []string
		for _, a := range b.alerts(f) {
			list = append(list, a.Name)
		}
		return strings.Join(list, " ")
	}
	b.equal("not resolved, latest first", names(alert.Filter{}), "liveness b")
	b.equal("resolved", names(alert.Filter{State: alert.Resolved}), "a")
	b.equal("of a kind", names(alert.Filter{All: true, Kind: job.AlertDeadLetters}), "b a")
	b.equal("limited", names(alert.Filter{Limit: 1}), "liveness")
	b.equal("since", names(alert.Filter{Since: b.now().Add(-90 * time.Second)}), "liveness")
	a := b.alerts(alert.Filter{Limit: 1})[0]
	got, err := b.Store.Alert(b.ctx, a.ID)
	b.must(err)
	b.equal("one", got, a)
	b.fails("an unknown one", errorOf(b.Store.Alert(b.ctx, job.NewID())), job.ErrNotFound)
}

func alertsAreForgotten(b *bed) {
	gates := b.gates("slack")
	for _, signature := range []string{"a", "b"} {
		b.tell(letter(signature))
	}
	b.pass(gates)
	b.Advance(settle)
	b.pass(gates)
	b.deliverAll("slack")
	b.tell(over(letter("a"), "redriven"))
	b.pass(gates)
	b.deliverAll("slack")
	b.Advance(91 * day)
	b.pass(gates) // a reminder of b
	b.must(errorOf(b.Store.Prune(b.ctx, job.Retention{})))
	b.equal("alerts left", names(b.alerts(alert.Filter{All: true})), []string{"b"})
	b.equal("messages left", b.numberOf("deliveries", "1 = 1"), int64(1))
}

func names(alerts []alert.Alert) (list []string) {
	for _, a := range alerts {
		list = append(list, a.Name)
	}
	slices.Sort(list)
	return list
}

// deliverAll sends what can be sent on a channel.
func (b *bed) deliverAll(channel string) {
	b.Helper()
	d := deliverer(b.Store, &mouth{name: channel})
	for range 1000 {
		sent, err := d.Send(b.ctx, d.Notifiers[0])
		b.must(err)
		if !sent {
			return
		}
		b.Advance(time.Second)
	}
	b.Fatal("there was no end of messages")
}
