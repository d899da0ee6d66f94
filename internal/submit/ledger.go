package submit

import (
	"context"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
)

// Ledger is the effect ledger: before anything leaves the house its intent is
// committed, after it the outcome. Every method that takes a lease changes
// nothing and answers job.ErrLeaseLost when that lease is no longer its job's
// latest. All may be called concurrently. Times are the store's.
type Ledger interface {
	// EnsureCustomer returns the customer with this e-mail, made now if unknown. A new one
	// must pass [Customer.Check]; a job.InvalidError otherwise, and nothing is made.
	EnsureCustomer(ctx context.Context, c Customer) (uuid.UUID, error)

	// Plan writes the order's submissions and its shortfall, once: when the order
	// has submissions already, those are answered and nothing changes. A shortfall
	// is an event.
	Plan(ctx context.Context, l job.Lease, p directory.Plan) ([]directory.Submission, error)

	// Submissions lists an order's submissions by rank.
	Submissions(ctx context.Context, order uuid.UUID) ([]directory.Submission, error)

	// CountSubmissions counts an order's submissions by state, and apart those that were
	// replaced.
	CountSubmissions(ctx context.Context, order uuid.UUID) ([]directory.Count, error)

	// CountDone counts, for each of the orders, the submissions that need no more work of
	// it and were not replaced. An order without any is left out.
	CountDone(ctx context.Context, orders ...uuid.UUID) (map[uuid.UUID]int, error)

	// HeldDirectories lists the directories in which a submission of any order
	// holds a place for the identity.
	HeldDirectories(ctx context.Context, identity string) ([]string, error)

	// Intend commits that the submission is about to be sent: planned to
	// submitting, one try more, the fence, and an effect deadline of the store's
	// now plus budget, never past the worker's lease. ErrTaken when another
	// submission holds the directory; job.ErrState when it is not planned.
	Intend(ctx context.Context, l job.Lease, id uuid.UUID, budget time.Duration) (directory.Submission, error)

	// Settle records an outcome. From planned: failed, skipped, needs_action, or
	// planned again: postponed, which counts one try more, since a look that came
	// to nothing must not be repeated for ever. From submitting: any arrow of
	// directory.SubmissionArrows, if this claim made the intent or, for an intent
	// of an earlier claim, once its effect deadline has passed; else job.ErrState.
	// A replacement is inserted, and the replaced one marked, in the same
	// transaction. An outcome is an event and counts as progress of the job.
	Settle(ctx context.Context, l job.Lease, id uuid.UUID, o directory.Outcome) error

	// Observe records what a recheck found later: submitted or uncertain becomes
	// live, rejected, or (uncertain only) submitted. The lease is the recheck's own.
	Observe(ctx context.Context, l job.Lease, id uuid.UUID, o directory.Outcome) error
}

// Customer is who pays. Email identifies it, compared in lower case.
type Customer struct {
	Email  string
	Name   string
	Canary bool
}

// Check refuses what is no e-mail address. Customers of earlier releases may have such;
// they are found all the same. Canaries get no mail.
func (c Customer) Check() error {
	email := strings.TrimSpace(c.Email)
	if email == "" {
		return &job.InvalidError{Field: "email", Reason: "is missing: a customer has an e-mail address"}
	}
	if fault := directory.EmailFault(email); fault != "" && !c.Canary {
		return &job.InvalidError{Field: "email", Reason: fault}
	}
	return nil
}

// Pacer holds the turns of each host, across all workers, and its circuit breaker.
type Pacer interface {
	// Reserve asks for a turn at the host. A refused turn reserves nothing and
	// says how long to wait and why.
	Reserve(ctx context.Context, host string, p directory.Pacing) (Turn, error)

	// Report tells how a turn went. Failures in a row open the host's breaker;
	// pause, when positive, closes the host for that long (Retry-After).
	Report(ctx context.Context, host string, ok bool, pause time.Duration) error
}

// Turn answers a reservation.
type Turn struct {
	OK   bool
	Wait time.Duration // when not OK: ask again after this
	Why  string        // "pace", "daily_cap" or "breaker"
}

// Breaker settings: failures in a row that open a host's circuit, how long it
// stays open the first time, doubling up to the cap. After that one turn is let
// through as a trial.
const (
	BreakerFailures = 5
	BreakerOpen     = 30 * time.Second
	BreakerOpenCap  = 15 * time.Minute
)
