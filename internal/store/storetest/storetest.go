// Package storetest is the suite that every store must pass: the contracts of
// [job.Store], [submit.Ledger], [submit.Pacer], [submit.Witness], [alert.Store], [auth.Keys],
// [auth.Sessions], [evidence.Erasures] and [idempotency.Store], one test for each sentence.
//
// A store's own test file wires it in a few lines:
//
//	func TestStore(t *testing.T) { storetest.Run(t, newSubject) }
//	func TestModel(t *testing.T) { storetest.Model(t, newSubject) }
//
// [Run] checks named promises; [Model] walks at random and compares the store
// with a small model of it. A fault found in one store becomes a case for all.
//
// The suite moves the store's clock and never sleeps to let time pass. Where
// another process must be heard (a wake-up, a row lock) it polls with a deadline.
package storetest

import (
	"io"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/evidence"
	"github.com/directorybolt/directorybolt/internal/idempotency"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/submit"
)

// Store is everything a store of this backend is.
type Store interface {
	job.Store
	submit.Ledger
	submit.Pacer
	auth.Keys
	auth.Sessions
	auth.Customers
	idempotency.Store
	alert.Store
	submit.Witness
	evidence.Erasures
	io.Closer
}

// Options says how the store under test is configured.
type Options struct {
	// Hints makes the store write outbox hints, as it does when a queue is configured.
	Hints bool
}

// Subject is a store under test: migrated, empty, its data shared with nobody.
type Subject struct {
	Store Store

	// Advance moves the store's clock forward, for every handle on the same data.
	// Between calls the clock may stand still or run.
	Advance func(d time.Duration)

	// Reopen opens a second handle on the same data, as another process would.
	Reopen func(t testing.TB) Store

	// Number answers a query of one row and one integer column. It lets the suite
	// see tables that no method reads; the SQL is the same in both dialects.
	Number func(t testing.TB, query string) int64

	// AfterLook returns when each of so many watches over lifelines has looked at them
	// once more. nil: a watch needs no earlier look to know a death.
	AfterLook func(t testing.TB, watches int)

	// Steps is how far [Model] walks on this store by default; zero means 2000.
	Steps int
}

// Factory makes a fresh subject. It registers with t.Cleanup the closing of
// every handle it gives out, those of Reopen too. It is called concurrently.
type Factory func(t testing.TB, o Options) Subject

// promise is one claim about a store. Each gets a store of its own, so one
// promise gathers what can be seen on one store without disturbing itself.
type promise struct {
	name  string
	hints bool
	holds func(b *bed)
}

// Run checks every promise of the contracts, in parallel.
func Run(t *testing.T, f Factory) {
	sections := []struct {
		name     string
		promises []promise
	}{
		{"Arrows", arrowPromises},
		{"Enqueue", enqueuePromises},
		{"Claim", claimPromises},
		{"Finish", finishPromises},
		{"Registry", registryPromises},
		{"Lifelines", lifelinePromises},
		{"Storm", stormPromises},
		{"Recover", recoverPromises},
		{"Operate", operatePromises},
		{"Read", readPromises},
		{"Line", linePromises},
		{"Outbox", outboxPromises},
		{"Keep", keepPromises},
		{"Wake", wakePromises},
		{"Passes", passesPromises},
		{"Orphans", orphanPromises},
		{"Findings", findingPromises},
		{"Rollups", rollupPromises},
		{"Tell", tellPromises},
		{"Letters", letterPromises},
		{"Books", bookPromises},
		{"Figures", figurePromises},
		{"Postbox", postboxPromises},
		{"Alerts", alertPromises},
		{"Deliveries", deliveryPromises},
		{"Ledger", ledgerPromises},
		{"Pacer", pacerPromises},
		{"Customers", customerPromises},
		{"Keys", keysPromises},
		{"Idempotency", idempotencyPromises},
		{"Witness", witnessPromises},
		{"Crowd", crowdPromises},
	}
	for _, s := range sections {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for _, p := range s.promises {
				t.Run(p.name, func(t *testing.T) {
					t.Parallel()
					p.holds(newBed(t, f, Options{Hints: p.hints}))
				})
			}
		})
	}
}
