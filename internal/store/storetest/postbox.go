package storetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var postboxPromises = []promise{
	{name: "ALetterIsCopiedOnce", holds: letterIsCopiedOnce},
	{name: "SightingsTellOpenFromStale", holds: sightings},
	{name: "AMessageIsKeptOnceAndTold", holds: messageIsKept},
	{name: "ExpiringLettersAreWarnedOfOnce", holds: expiryIsWarned},
	{name: "WhatTheQueueDroppedIsExpiredOrCopiedAnew", holds: dropped},
}

func (b *bed) takeLetters(limit int) []job.ID {
	b.Helper()
	taken, err := b.Store.TakeLetters(b.ctx, limit, time.Minute)
	b.must(err)
	ids := make([]job.ID, len(taken))
	for i := range taken {
		ids[i] = taken[i].JobID
	}
	return ids
}

func letterIsCopiedOnce(b *bed) {
	const n = 8
	for range n {
		b.dead(order(), "no")
	}
	var mu sync.Mutex
	var taken []job.Letter
	b.atOnce(n, func(_ int, s Store) {
		got, err := s.TakeLetters(b.ctx, 3, time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			b.Errorf("take: %v", err)
		}
		taken = append(taken, got...)
	})
	// A taker may find all that are due held by others, so the rest is taken after.
	rest, err := b.Store.TakeLetters(b.ctx, n, time.Minute)
	b.must(err)
	taken = append(taken, rest...)
	b.equal("letters taken", len(taken), n)
	b.equal("what a letter says", []any{taken[0].Class, taken[0].Cause, taken[0].ValueCents}, []any{job.ClassPermanent, "no", int64(14900)})
	b.must(b.Store.MarkCopied(b.ctx, taken[0].ID, taken[1].ID))
	b.Advance(2 * time.Minute)
	b.must(errorOf(b.Store.RedriveLetters(b.ctx, []job.ID{taken[2].ID}, staff)))
	b.equal("letters that come back", len(b.takeLetters(100)), n-3)
}

func sightings(b *bed) {
	open, done, twice := b.dead(order(), "one"), b.dead(order(), "two"), b.dead(order(), "three")
	b.redriveLetters(b.letterOf(done).ID)
	b.complete(leaseOf(b.claimOne(b.worker())))
	expires := b.now().Add(24 * time.Hour).Truncate(time.Microsecond)
	see := func(id job.ID, message string) job.Sighting {
		return job.Sighting{JobID: id, MessageID: message, Receives: 3, SentAt: expires.Add(-time.Hour), ExpiresAt: expires}
	}
	means, err := b.Store.NoteSightings(b.ctx, []job.Sighting{see(open, "m-1"), see(job.NewID(), "m-2"), see(done, "m-3"), see(twice, "m-4"), see(twice, "m-5")})
	b.must(err)
	b.equal("meanings", means, []job.Meaning{job.MeansOpen, job.MeansUnknown, job.MeansStale, job.MeansOpen, job.MeansOpen})
	l := b.letterOf(open)
	b.equal("what is noted", []any{l.MessageID, l.Receives, l.SentAt, l.ExpiresAt}, []any{"m-1", 3, expires.Add(-time.Hour), expires})
	b.equal("letters without a copy", len(b.takeLetters(10)), 0)
}

func deadMessage(id string, expires time.Time) job.DeadMessage {
	return job.DeadMessage{
		MessageID: id, Body: []byte("\x00\xff not JSON"), Cause: "poison message: it is not JSON", Class: "poison",
		Signature: "poison: it is not JSON", Receives: 4, SentAt: expires.Add(-time.Hour), ExpiresAt: expires,
	}
}

func (b *bed) notice(key string) job.Notice {
	return job.Notice{Key: key, Alert: job.AlertDeadLetters, Group: "poison: it is not JSON", Text: "a message names no job", At: b.now()}
}

func messageIsKept(b *bed) {
	expires := b.now().Add(24 * time.Hour).Truncate(time.Microsecond)
	m := deadMessage("m-1", expires)
	var mu sync.Mutex
	means := map[job.Meaning]int{}
	b.atOnce(6, func(_ int, s Store) {
		got, err := s.KeepMessage(b.ctx, m, b.notice("message:m-1"))
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			b.Errorf("keep: %v", err)
		}
		means[got]++
	})
	b.equal("what it meant to six monitors", means, map[job.Meaning]int{job.MeansKept: 1, job.MeansOpen: 5})
	b.equal("notices", len(b.messages(job.MessageAlert)), 1)
	b.equal("events", b.numberOf("events", "type = 'letter.seen'"), int64(1))
	got := b.letters(job.LetterFilter{})
	if len(got) != 1 {
		b.Fatalf("%d letters, want 1", len(got))
	}
	l := got[0]
	b.equal("letter", l, job.Letter{
		ID: l.ID, Cause: m.Cause, Class: m.Class, Signature: m.Signature, At: l.At, MessageID: "m-1", Body: m.Body, Receives: 4,
		SentAt: m.SentAt, ExpiresAt: expires,
	})
	d := b.depth()
	b.equal("depth", []int64{d.Open, d.Messages}, []int64{1, 1})
	b.equal("a redrive of a letter without a job", len(b.redriveLetters(l.ID)), 0)
	b.equal("letters to copy", len(b.takeLetters(10)), 0)

	b.must(errorOf(b.Store.ResolveLetters(b.ctx, []job.ID{l.ID}, job.FatePurged, staff)))
	again, err := b.Store.KeepMessage(b.ctx, m, b.notice("message:m-1"))
	b.must(err)
	b.equal("the message after the purge", again, job.MeansStale)
	if l, err = b.Store.Letter(b.ctx, l.ID); err != nil || l.Body != nil || l.Cause != m.Cause {
		b.Errorf("the tombstone is %+v, error %v; want it without a body", l, err)
	}
}

func expiryIsWarned(b *bed) {
	now := b.now()
	b.must(errorOf(b.Store.KeepMessage(b.ctx, deadMessage("soon", now.Add(47*time.Hour)), b.notice("1"))))
	b.must(errorOf(b.Store.KeepMessage(b.ctx, deadMessage("later", now.Add(72*time.Hour)), b.notice("2"))))
	id := b.dead(order(), "no")
	b.must(errorOf(b.Store.NoteSightings(b.ctx, []job.Sighting{{JobID: id, MessageID: "copy", ExpiresAt: now.Add(40 * time.Hour)}})))
	b.messages(job.MessageAlert)
	due, err := b.Store.ExpiringLetters(b.ctx, 48*time.Hour, 10)
	b.must(err)
	var names []string
	var ids []job.ID
	for _, l := range due {
		names, ids = append(names, l.MessageID), append(ids, l.ID)
	}
	b.equal("letters about to expire", names, []string{"copy", "soon"})
	warned := make([]int64, 4)
	b.atOnce(len(warned), func(i int, s Store) {
		var err error
		if warned[i], err = s.WarnExpiring(b.ctx, ids, b.notice("expiring")); err != nil {
			b.Errorf("warn: %v", err)
		}
	})
	b.equal("warned by four monitors", slices.Max(warned), int64(2))
	b.equal("notices", len(b.messages(job.MessageAlert)), 1)
	b.equal("events", b.numberOf("events", "type = 'letter.expiring'"), int64(2))
	due, err = b.Store.ExpiringLetters(b.ctx, 48*time.Hour, 10)
	b.must(err)
	b.equal("to warn of after that", len(due), 0)

	closing := func(want int64, notices int) {
		b.Helper()
		closed, err := b.Store.CloseWarnings(b.ctx, 48*time.Hour, b.notice("expiring"))
		b.must(err)
		b.equal("warnings closed, notices", []any{closed, len(b.messages(job.MessageAlert))}, []any{want, notices})
	}
	closing(0, 0)
	b.redriveLetters(b.letterOf(id).ID)
	closing(1, 0)
	b.must(errorOf(b.Store.ResolveLetters(b.ctx, ids, job.FatePurged, staff)))
	closing(1, 1)
	closing(0, 0)
}

func dropped(b *bed) {
	now := b.now()
	for i := range 2 {
		b.must(errorOf(b.Store.KeepMessage(b.ctx, deadMessage(fmt.Sprint("m-", i), now.Add(time.Duration(1+i)*time.Hour)), b.notice(fmt.Sprint(i)))))
	}
	id := b.dead(order(), "no")
	b.equal("to copy", b.takeLetters(10), []job.ID{id})
	b.must(errorOf(b.Store.NoteSightings(b.ctx, []job.Sighting{{JobID: id, MessageID: "copy", ExpiresAt: now.Add(time.Hour)}})))
	b.Advance(90 * time.Minute)
	expired, err := b.Store.ExpireLetters(b.ctx)
	b.must(err)
	b.equal("expired", expired, int64(1))
	b.equal("open", b.depth().Open, int64(2))
	b.equal("bodies kept", b.numberOf("dead_letters", "fate = 'expired' AND body IS NOT NULL"), int64(1))
	b.equal("to copy anew", b.takeLetters(10), []job.ID{id})
}
