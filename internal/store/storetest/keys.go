package storetest

import (
	"fmt"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/idempotency"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/google/uuid"
)

var keysPromises = []promise{
	{name: "AKeyIsKeptWithItsHashAndWithoutItsText", holds: keyIsKept},
	{name: "AKeyOfAnUnknownCustomerIsRefused", holds: keyNeedsItsCustomer},
	{name: "ARevokedKeyStaysAndItsSessionsEnd", holds: keyIsRevoked},
	{name: "LastUseNeverGoesBack", holds: lastUseGrows},
	{name: "ASessionEndsByItselfAndWhenTold", holds: sessionEnds},
}

func (b *bed) key(role auth.Role, customer uuid.UUID) (string, auth.Key) {
	b.Helper()
	text, k, err := auth.Mint("test "+string(role), role, customer, time.Time{}, "")
	b.must(err)
	kept, err := b.Store.AddKey(b.ctx, k, auth.HashOf(text), staff)
	b.must(err)
	return text, kept
}

func keyIsKept(b *bed) {
	customer, err := b.Store.EnsureCustomer(b.ctx, submit.Customer{Email: "ann@example.com", Name: "Ann"})
	b.must(err)
	buyer, err := b.Store.Customer(b.ctx, customer)
	b.must(err)
	b.equal("customer", []any{buyer.ID, buyer.Email, buyer.Name}, []any{customer, "ann@example.com", "Ann"})
	from := b.now()
	text, k := b.key(auth.Customer, customer)
	b.within("when", k.CreatedAt, from, b.now())
	b.equal("by whom", k.CreatedBy, staff.Actor)
	got, hash, err := b.Store.KeyByID(b.ctx, k.ID)
	b.must(err)
	b.equal("key", got, k)
	b.equal("hash", hash, auth.HashOf(text))
	b.Advance(time.Second)
	_, second := b.key(auth.Staff, uuid.Nil)
	all, err := b.Store.Keys(b.ctx)
	b.must(err)
	b.equal("keys, newest first", all, []auth.Key{second, k})
	_, _, err = b.Store.KeyByID(b.ctx, "unknown1")
	b.fails("an unknown id", err, job.ErrNotFound)
}

func keyNeedsItsCustomer(b *bed) {
	_, k, err := auth.Mint("nobody's", auth.Customer, job.NewID(), time.Time{}, "")
	b.must(err)
	_, err = b.Store.AddKey(b.ctx, k, auth.Hash{}, staff)
	b.fails("a key of a customer that is not there", err, job.ErrNotFound)
	_, err = b.Store.Customer(b.ctx, job.NewID())
	b.fails("a customer that is not there", err, job.ErrNotFound)
}

func keyIsRevoked(b *bed) {
	_, k := b.key(auth.Admin, uuid.Nil)
	session := auth.HashOf(auth.NewSession())
	_, err := b.Store.AddSession(b.ctx, session, k.ID, time.Hour)
	b.must(err)
	from := b.now()
	b.must(b.Store.RevokeKey(b.ctx, k.ID, staff))
	got, _, err := b.Store.KeyByID(b.ctx, k.ID)
	b.must(err)
	b.within("when", got.RevokedAt, from, b.now())
	_, err = b.Store.SessionKey(b.ctx, session)
	b.fails("the session of a revoked key", err, job.ErrNotFound)
	entries, err := b.Store.Journal(b.ctx, job.ID{}, 10)
	b.must(err)
	for i, want := range []string{job.ActRevokeKey, job.ActMintKey} {
		b.equal("journal", []any{entries[i].Act, entries[i].Subject, entries[i].By}, []any{want, "key " + k.ID, staff})
	}
	b.fails("revoking twice", b.Store.RevokeKey(b.ctx, k.ID, staff), job.ErrState)
	b.fails("revoking what is not there", b.Store.RevokeKey(b.ctx, "unknown1", staff), job.ErrNotFound)
}

func lastUseGrows(b *bed) {
	_, k := b.key(auth.Worker, uuid.Nil)
	lastUse := func() time.Time {
		got, _, err := b.Store.KeyByID(b.ctx, k.ID)
		b.must(err)
		return got.LastUsedAt
	}
	b.equal("before the first use", lastUse(), time.Time{})
	b.must(b.Store.KeysUsed(b.ctx, map[string]time.Duration{k.ID: time.Second, "unknown1": 0}))
	first := lastUse()
	b.must(b.Store.KeysUsed(b.ctx, map[string]time.Duration{k.ID: time.Hour}))
	b.equal("after a late note", lastUse(), first)
	b.Advance(time.Minute)
	b.must(b.Store.KeysUsed(b.ctx, map[string]time.Duration{k.ID: 0}))
	if now := lastUse(); now.Sub(first) < time.Minute {
		b.Errorf("last use is %s, a minute after %s", now, first)
	}
}

func sessionEnds(b *bed) {
	_, k := b.key(auth.Staff, uuid.Nil)
	first, second := auth.HashOf("one"), auth.HashOf("two")
	end, err := b.Store.AddSession(b.ctx, first, k.ID, time.Hour)
	b.must(err)
	b.within("end", end, b.now(), b.now().Add(time.Hour))
	got, err := b.Store.SessionKey(b.ctx, first)
	b.must(err)
	b.equal("whose", got, k.ID)
	b.Advance(time.Hour + time.Second)
	_, err = b.Store.SessionKey(b.ctx, first)
	b.fails("a session that is over", err, job.ErrNotFound)
	_, err = b.Store.AddSession(b.ctx, second, k.ID, time.Hour)
	b.must(err)
	b.equal("sessions kept", b.Number(b, "SELECT count(*) FROM sessions"), int64(1))
	b.must(b.Store.EndSession(b.ctx, second))
	b.must(b.Store.EndSession(b.ctx, second))
	_, err = b.Store.SessionKey(b.ctx, second)
	b.fails("a session that was ended", err, job.ErrNotFound)
}

var idempotencyPromises = []promise{
	{name: "TheSameRequestIsAnsweredAsBefore", holds: answerIsRepeated},
	{name: "AnotherRequestUnderTheSameKeyIsRefused", holds: mismatchIsRefused},
	{name: "OfManyAtOnceOneActs", holds: oneRequestActs},
	{name: "AKeyWhoseRequestDiedIsTakenOver", holds: deadRequestIsTakenOver},
	{name: "AKeyIsFreeAfterADay", holds: keyIsFreeAgain},
}

var intake = idempotency.FingerprintOf("POST", "/api/orders", []byte(`{"package":"starter"}`))

func (b *bed) begin(owner, key string, f idempotency.Fingerprint) *idempotency.Answer {
	b.Helper()
	a, err := b.Store.BeginRequest(b.ctx, owner, key, f)
	b.must(err)
	return a
}

func answerIsRepeated(b *bed) {
	if a := b.begin("k1", "x", intake); a != nil {
		b.Fatalf("the first request is answered %+v", a)
	}
	_, err := b.Store.BeginRequest(b.ctx, "k1", "x", intake)
	b.fails("while it runs", err, idempotency.ErrInProgress)
	answer := idempotency.Answer{Status: 201, ContentType: "application/json", Location: "/api/orders/1", Body: []byte("{}\n")}
	b.must(b.Store.EndRequest(b.ctx, "k1", "x", intake, &answer))
	b.equal("the second", b.begin("k1", "x", intake), &answer)
	if a := b.begin("k2", "x", intake); a != nil {
		b.Errorf("another owner is answered %+v", a)
	}
	b.must(b.Store.EndRequest(b.ctx, "k2", "x", intake, nil))
	if a := b.begin("k2", "x", intake); a != nil {
		b.Errorf("a key that was freed is answered %+v", a)
	}
}

func mismatchIsRefused(b *bed) {
	b.begin("k1", "x", intake)
	_, err := b.Store.BeginRequest(b.ctx, "k1", "x", idempotency.FingerprintOf("POST", "/api/orders", []byte(`{}`)))
	b.fails("another body", err, idempotency.ErrMismatch)
	b.must(b.Store.EndRequest(b.ctx, "k1", "x", intake, &idempotency.Answer{Status: 201}))
	_, err = b.Store.BeginRequest(b.ctx, "k1", "x", idempotency.FingerprintOf("POST", "/api/keys", []byte(`{"package":"starter"}`)))
	b.fails("another path", err, idempotency.ErrMismatch)
}

func oneRequestActs(b *bed) {
	var acts, waits int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			a, err := b.Store.BeginRequest(b.ctx, "k1", "x", intake)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && a == nil:
				acts++
			case err != nil:
				waits++
			}
		})
	}
	all.Wait()
	b.equal("act, wait", fmt.Sprint(acts, waits), "1 15")
}

func deadRequestIsTakenOver(b *bed) {
	b.begin("k1", "x", intake)
	b.Advance(idempotency.Hold + time.Second)
	_, err := b.Store.BeginRequest(b.ctx, "k1", "x", idempotency.Fingerprint{})
	b.fails("by another request", err, idempotency.ErrMismatch)
	if a := b.begin("k1", "x", intake); a != nil {
		b.Errorf("answered %+v, nobody ever did", a)
	}
	_, err = b.Store.BeginRequest(b.ctx, "k1", "x", intake)
	b.fails("while the second runs", err, idempotency.ErrInProgress)
}

func keyIsFreeAgain(b *bed) {
	b.begin("k1", "x", intake)
	b.must(b.Store.EndRequest(b.ctx, "k1", "x", intake, &idempotency.Answer{Status: 201}))
	b.Advance(idempotency.Keep + time.Minute)
	if a := b.begin("k1", "x", idempotency.Fingerprint{}); a != nil {
		b.Errorf("answered %+v after a day", a)
	}
	b.must(b.Store.EndRequest(b.ctx, "k1", "x", idempotency.Fingerprint{}, &idempotency.Answer{Status: 201}))
	b.Advance(3 * idempotency.Keep)
	b.must(errorOf(b.Store.Prune(b.ctx, job.Retention{})))
	b.equal("keys kept", b.Number(b, "SELECT count(*) FROM idempotency_keys"), int64(0))
}
