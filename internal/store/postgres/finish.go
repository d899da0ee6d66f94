package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/jackc/pgx/v5"
)

// Complete records success of the leases that still hold.
func (s *Store) Complete(ctx context.Context, leases ...job.Lease) ([]job.Lease, error) {
	return s.finish(ctx, "complete", "CompleteJobs", leases)
}

// Release gives jobs back uncounted.
func (s *Store) Release(ctx context.Context, cause string, leases ...job.Lease) ([]job.Lease, error) {
	lost, err := s.finish(ctx, "release", "ReleaseJobs", leases, dbText(plain(cause)), s.config.Hints)
	if err == nil && len(lost) < len(leases) {
		s.bell.ring()
	}
	return lost, err
}

// finish runs a statement over a batch of leases and returns those it refused.
func (s *Store) finish(ctx context.Context, verb, statement string, leases []job.Lease, more ...any) ([]job.Lease, error) {
	if len(leases) == 0 {
		return nil, nil
	}
	batch := slices.SortedFunc(slices.Values(leases), func(a, b job.Lease) int { return slices.Compare(a.JobID[:], b.JobID[:]) })
	ids, fences := leaseIDs(batch)
	done, err := all(ctx, s, verb+" jobs", statement, scanLease, append([]any{ids, fences}, more...)...)
	if err != nil {
		return nil, err
	}
	if len(done) == len(leases) {
		return nil, nil
	}
	held := make(map[job.Lease]bool, len(done))
	for _, l := range done {
		held[l] = true
	}
	lost := slices.DeleteFunc(slices.Clone(leases), func(l job.Lease) bool { return held[job.Lease{JobID: l.JobID, Fence: l.Fence}] })
	s.fenced(ctx, verb, lost...)
	return lost, nil
}

// scanLease reads id and fence.
func scanLease(row pgx.CollectableRow) (l job.Lease, err error) {
	err = row.Scan((*nullID)(&l.JobID), &l.Fence)
	return l, err
}

// Fail records how an attempt failed.
func (s *Store) Fail(ctx context.Context, l job.Lease, f job.Failure) (job.State, error) {
	cause, class := plain(f.Cause), plain(f.Class)
	signature := job.TidySignature(f.Signature)
	if signature == "" {
		signature = job.Signature(class, cause)
	}
	states, err := all(ctx, s, "fail job "+l.JobID.String(), "FailJob", scanText, dbID(l.JobID), l.Fence, f.Permanent, delay(f.Delay),
		cause, class, signature, job.ActorWorker(l.WorkerID), s.config.Hints)
	if err != nil {
		return "", err
	}
	if len(states) == 0 {
		return "", s.leaseLost(ctx, "fail", l)
	}
	if f.Delay <= 0 {
		s.bell.ring()
	}
	return job.State(states[0]), nil
}

// delay is a wait in microseconds; one that is negative is none.
func delay(d time.Duration) int64 { return micros(max(d, 0)) }

// Snooze gives the job back until delay has passed.
func (s *Store) Snooze(ctx context.Context, l job.Lease, d time.Duration, cause string) error {
	err := s.end(ctx, "snooze", "SnoozeJob", l, delay(d), dbText(plain(cause)), job.ActorWorker(l.WorkerID), s.config.Hints)
	if err == nil && d <= 0 {
		s.bell.ring()
	}
	return err
}

// CancelRunning ends the attempt by cancelling the job.
func (s *Store) CancelRunning(ctx context.Context, l job.Lease, cause string) error {
	return s.end(ctx, "cancel", "CancelRunningJob", l, dbText(plain(cause)), job.ActorWorker(l.WorkerID))
}

// end runs a statement that names one lease.
func (s *Store) end(ctx context.Context, verb, statement string, l job.Lease, more ...any) error {
	n, err := changed(ctx, s, verb+" job "+l.JobID.String(), statement, append([]any{dbID(l.JobID), l.Fence}, more...)...)
	if err == nil && n == 0 {
		return s.leaseLost(ctx, verb, l)
	}
	return err
}

// Progress says that the attempt got further.
func (s *Store) Progress(ctx context.Context, l job.Lease) error {
	ids, fences := leaseIDs([]job.Lease{l})
	n, err := changed(ctx, s, "record progress of job "+l.JobID.String(), "ProgressJob", ids, fences, dbID(l.WorkerID))
	if err == nil && n == 0 {
		return s.leaseLost(ctx, "progress", l)
	}
	return err
}

func (s *Store) leaseLost(ctx context.Context, verb string, l job.Lease) error {
	s.fenced(ctx, verb, l)
	return fmt.Errorf("%s job %s under fence %d: %w", verb, l.JobID, l.Fence, job.ErrLeaseLost)
}

// fenced records refused writes. That they were refused stands whether or not the
// record can be made, so a failure to make it is told and goes no further.
func (s *Store) fenced(ctx context.Context, verb string, leases ...job.Lease) {
	if len(leases) == 0 {
		return
	}
	for range leases {
		s.config.OnFenced(verb)
	}
	ids, fences := leaseIDs(leases)
	workers := make([][16]byte, len(leases))
	for i, l := range leases {
		workers[i] = l.WorkerID
	}
	if _, err := changed(ctx, s, "record refused writes", "RecordEvents", ids, fences, workers, verb); err != nil {
		s.config.Log.WarnContext(ctx, "a refused write could not be recorded", "verb", verb, "count", len(leases), "error", err.Error())
	}
}
