package storetest

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var tellPromises = []promise{
	{name: "EventAndNoticeAreCommittedTogether", holds: tellCommitsBoth},
	{name: "UnsentDoublesOfANoticeCollapse", holds: noticesCollapse},
	{name: "AnEventMayBeToldWithoutANotice", holds: tellWithoutNotice},
	{name: "WhatIsNotWellFormedIsRefusedWhole", holds: tellRefuses},
	{name: "NoticesKeepAnyTextWithinBounds", holds: noticesKeepAnyText},
	{name: "ADeadLetterIsANotice", holds: deadLetterIsANotice},
	{name: "TakersOfOneKindLeaveTheOther", hints: true, holds: kindsAreTakenApart},
}

// notice is well-formed.
func notice(key string) *job.Notice {
	return &job.Notice{
		Key: key, Alert: job.AlertStorm, Group: "liveness", Severity: "page", Text: "4 of 5 workers are gone at once",
		Count: 4, ValueCents: 59600, JobIDs: []job.ID{job.NewID(), job.NewID()}, CustomerID: job.NewID(), JobKind: job.KindOrder,
		Cause: "lease_expired", Class: job.ClassCrash, Signature: "crash: lease_expired", Redrives: 2, Canary: true,
	}
}

func (b *bed) noticeIn(m job.Message) job.Notice {
	b.Helper()
	var n job.Notice
	b.must(json.Unmarshal(m.Payload, &n))
	return n
}

func tellCommitsBoth(b *bed) {
	n, id := notice("storm:1"), b.noops(1)[0]
	from := b.now()
	e := job.Event{
		Type: "storm.opened", JobID: id, Actor: "cli:ann", Cause: "clock", Fence: 7, From: "calm", To: "storm",
		Directory: "yelp", CustomerID: job.NewID(), OrderID: job.NewID(), WorkerID: job.NewID(), Detail: json.RawMessage(`{"owners": 4}`),
	}
	b.must(b.Store.Tell(b.ctx, e, n))
	got := b.lastEvent(id, "storm.opened")
	b.within("the event", got.At, from, b.now())
	var detail struct{ Owners int }
	b.must(json.Unmarshal(got.Detail, &detail))
	b.equal("detail", detail.Owners, 4)
	told := got.At
	got.ID, got.At, got.V, got.Detail, e.Detail = job.ID{}, time.Time{}, 0, nil, nil
	b.equal("event", got, e)

	messages := b.messages(job.MessageAlert)
	if len(messages) != 1 {
		b.Fatalf("%d messages, want 1", len(messages))
	}
	b.equal("key", messages[0].Key, "storm:1")
	want := *n
	want.Key, want.V, want.At = "", 1, told
	b.equal("notice", b.noticeIn(messages[0]), want)

	n.At = from.Add(-time.Hour)
	b.must(b.Store.Tell(b.ctx, e, n))
	b.equal("the moment that a notice names", b.noticeIn(b.messages(job.MessageAlert)[0]).At, n.At)
}

func noticesCollapse(b *bed) {
	tell := func(key, text string) {
		b.Helper()
		n := notice(key)
		n.Text = text
		b.must(b.Store.Tell(b.ctx, job.Event{Type: "storm.opened"}, n))
	}
	texts := func() (list []string) {
		b.Helper()
		for _, m := range b.messages(job.MessageAlert) {
			list = append(list, b.noticeIn(m).Text)
		}
		slices.Sort(list)
		return list
	}
	tell("a", "1")
	tell("b", "2")
	tell("a", "3")
	b.equal("unsent", texts(), []string{"2", "3"})
	tell("a", "4")
	b.equal("after these were sent", texts(), []string{"4"})
	b.equal("events", b.numberOf("events", "type = 'storm.opened'"), int64(4))
}

func tellWithoutNotice(b *bed) {
	b.must(b.Store.Tell(b.ctx, job.Event{Type: "storm.closed"}, nil))
	b.equal("events of the system", b.numberOf("events", "type = 'storm.closed' AND actor = 'system' AND v = 1"), int64(1))
	b.equal("messages", b.numberOf("outbox", "1 = 1"), int64(0))
}

func tellRefuses(b *bed) {
	e := job.Event{Type: "storm.opened"}
	for field, tell := range map[string]func() error{
		"type":         func() error { return b.Store.Tell(b.ctx, job.Event{}, notice("k")) },
		"notice.key":   func() error { return b.Store.Tell(b.ctx, e, notice("")) },
		"notice.alert": func() error { return b.Store.Tell(b.ctx, e, &job.Notice{Key: "k"}) },
	} {
		var invalid *job.InvalidError
		if err := tell(); !errors.As(err, &invalid) || invalid.Field != field {
			b.Errorf("without %s: got error %v, want one that names it", field, err)
		}
	}
	b.equal("events", b.numberOf("events", "1 = 1"), int64(0))
	b.equal("messages", b.numberOf("outbox", "1 = 1"), int64(0))
}

func noticesKeepAnyText(b *bed) {
	n := notice("k")
	n.Text, n.Cause = "\x00 <!channel> \xff `rm` 🚀", strings.Repeat("x", 1<<20)
	n.JobIDs = slices.Repeat([]job.ID{job.NewID()}, 5000)
	b.must(b.Store.Tell(b.ctx, job.Event{Type: "storm.opened", Cause: "\x00\xff"}, n))
	got := b.noticeIn(b.messages(job.MessageAlert)[0])
	b.equal("text", got.Text, "\uFFFD <!channel> \uFFFD `rm` 🚀")
	b.equal("jobs", len(got.JobIDs), job.MostNoticeJobs)
	if len(got.Cause) > 8<<10 {
		b.Errorf("a cause of %d bytes was kept", len(got.Cause))
	}
}

func deadLetterIsANotice(b *bed) {
	s := order()
	s.Canary = true
	id := b.enqueueOne(s)
	die := func(cause string) job.Notice {
		b.Helper()
		b.fail(leaseOf(b.claimOne(b.worker())), job.Failure{Cause: cause, Class: job.ClassPermanent, Permanent: true})
		return b.noticeIn(b.messages(job.MessageAlert)[0])
	}
	want := func(j job.Job) job.Notice {
		return job.Notice{
			V: 1, Alert: job.AlertDeadLetters, Group: j.Signature, ValueCents: 14900, Canary: true, JobIDs: []job.ID{id},
			CustomerID: s.CustomerID, JobKind: job.KindOrder, Redrives: j.Redrives, Cause: j.Cause, Class: job.ClassPermanent,
			Signature: j.Signature, At: j.FinishedAt,
		}
	}
	b.equal("notice", die("404 <gone>"), want(b.job(id)))
	b.must(b.Store.Redrive(b.ctx, id, staff))
	b.equal("notice after a redrive", die("404 again"), want(b.job(id)))

	b.crash(b.running(job.Spec{Kind: job.KindNoop, CrashBudget: 1}))
	crashed := b.noticeIn(b.messages(job.MessageAlert)[0])
	b.equal("kind and class of a crash", []string{crashed.Alert, crashed.Class, crashed.Group},
		[]string{job.AlertDeadLetters, job.ClassCrash, crashed.Signature})
}

func kindsAreTakenApart(b *bed) {
	b.noops(2)
	b.must(b.Store.Tell(b.ctx, job.Event{Type: "storm.opened"}, notice("k")))
	b.equal("alerts", len(b.messages(job.MessageAlert)), 1)
	b.equal("hints", len(b.messages(job.MessageHint)), 2)
}
