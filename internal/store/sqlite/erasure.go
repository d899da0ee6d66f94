package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/evidence"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/google/uuid"
)

// EraseCustomer implements [auth.Customers].
func (s *Store) EraseCustomer(ctx context.Context, id uuid.UUID, by job.By) (done auth.Erasure, err error) {
	secret, err := s.Secret(ctx, store.ErasureSecret)
	if err == nil {
		err = s.write(ctx, func(t *tx) error {
			e := erasure{tx: t, customer: id, by: by, secret: secret}
			err := e.run()
			done = e.done
			return err
		})
	}
	if err != nil {
		return auth.Erasure{}, fmt.Errorf("erase customer %s: %w", id, err)
	}
	return done, nil
}

// erasure is one transaction that erases a customer.
type erasure struct {
	*tx
	customer uuid.UUID
	by       job.By
	secret   []byte
	done     auth.Erasure
}

func (e *erasure) run() error {
	customer := e.customer.String()
	if _, err := one(e.tx, scanID, q.LockCustomer, customer); err != nil {
		return err
	}
	ids, err := e.endWork()
	if err != nil {
		return err
	}
	blobs, err := all(e.tx, scanText, q.CustomerEvidence, customer)
	if err != nil {
		return err
	}
	if err := e.submissions(); err != nil {
		return err
	}
	if err := e.letGo(blobs); err != nil {
		return err
	}
	jobs := list(append([]job.ID{}, ids...))
	for _, step := range []struct {
		text  string
		count *int64
		args  []any
	}{
		{q.EraseEvents, &e.done.Events, []any{jobs}},
		{q.EraseJobs, &e.done.Jobs, []any{customer}},
		{q.EraseLetters, &e.done.Letters, []any{customer}},
		{q.EraseNotices, new(int64), []any{customer, jobs}},
		{q.EraseAlerts, new(int64), []any{customer, jobs}},
		{q.EraseDeliveries, new(int64), []any{customer, jobs}},
		{q.EndCustomerSessions, new(int64), []any{customer}},
		{q.EraseRequests, new(int64), []any{customer}},
		{q.EraseKeys, &e.done.Keys, []any{customer, e.now}},
		{q.ErasePauses, new(int64), []any{customer}},
		{q.EraseCustomer, new(int64), []any{customer, e.now}},
	} {
		if *step.count, err = e.exec(step.text, step.args...); err != nil {
			return err
		}
	}
	err = e.record(job.Event{
		Type: job.EventCustomerErased, CustomerID: e.customer, Actor: e.by.Actor,
		Detail: detail(map[string]int64{"jobs": e.done.Jobs, "submissions": e.done.Submissions}),
	})
	if err != nil {
		return err
	}
	return e.journal(job.JournalEntry{By: e.by, Act: job.ActEraseCustomer, Count: e.done.Jobs, Subject: "customer " + customer})
}

// endWork cancels rechecks and gives letters up; nothing could be done with either
// afterwards. It answers all jobs of the customer.
func (e *erasure) endWork() ([]job.ID, error) {
	jobs, err := all(e.tx, func(r row) (j store.CustomerJob, err error) {
		err = r.Scan(&j.ID, &j.Kind, &j.State)
		return j, err
	}, q.CustomerJobs, e.customer.String())
	if err != nil {
		return nil, err
	}
	ids, rechecks, err := store.Erasable(jobs)
	if err != nil {
		return nil, err
	}
	why := job.By{Actor: e.by.Actor, Reason: store.ErasedReason}
	for _, id := range rechecks {
		j, err := one(e.tx, scanJob, q.GetJob, id.String())
		if err != nil {
			return nil, err
		}
		if err := e.cancel(&j, why); err != nil {
			return nil, err
		}
	}
	letters, err := all(e.tx, scanID, q.CustomerLetters, e.customer.String())
	if err != nil || len(letters) == 0 {
		return ids, err
	}
	_, err = e.resolveLetters(letters, job.FatePurged, why)
	return ids, err
}

func (e *erasure) submissions() error {
	identities, err := all(e.tx, scanText, q.CustomerIdentities, e.customer.String())
	if err != nil {
		return err
	}
	for _, identity := range identities {
		n, err := e.exec(q.EraseSubmissions, e.customer.String(), identity, store.ErasedIdentity(e.secret, identity))
		if err != nil {
			return err
		}
		e.done.Submissions += n
	}
	return nil
}

// letGo records which blobs the customer's outcomes no longer refer to, and answers those
// that nobody does.
func (e *erasure) letGo(blobs []string) error {
	if len(blobs) == 0 {
		return nil
	}
	if _, err := e.exec(q.AddErasedEvidence, e.now, list(blobs)); err != nil {
		return err
	}
	held, err := all(e.tx, scanText, q.HeldEvidence, list(blobs))
	e.done.Evidence = slices.DeleteFunc(blobs, func(name string) bool { return slices.Contains(held, name) })
	return err
}

// HeldEvidence implements [evidence.Erasures].
func (s *Store) HeldEvidence(ctx context.Context, names []string) ([]string, error) {
	held, err := all(s.read(ctx), scanText, q.HeldEvidence, list(append([]string{}, names...)))
	if err != nil {
		return nil, fmt.Errorf("look what evidence is referred to: %w", s.explain(err))
	}
	return held, nil
}

// ErasedEvidence implements [evidence.Erasures].
func (s *Store) ErasedEvidence(ctx context.Context, after evidence.Erased, limit int) ([]evidence.Erased, error) {
	erased, err := all(s.read(ctx), func(r row) (e evidence.Erased, err error) {
		err = r.Scan(moment{&e.At}, &e.SHA256)
		return e, err
	}, q.ListErasedEvidence, after.At.UnixMicro(), after.SHA256, limit)
	if err != nil {
		return nil, fmt.Errorf("list erased evidence: %w", s.explain(err))
	}
	return erased, nil
}

// CustomerByEmail implements [auth.Customers].
func (s *Store) CustomerByEmail(ctx context.Context, email string) (auth.Account, error) {
	id, err := one(s.read(ctx), scanID, q.CustomerByEmail, strings.ToLower(strings.TrimSpace(clean(email))))
	if err != nil {
		return auth.Account{}, fmt.Errorf("find a customer by e-mail: %w", s.explain(err))
	}
	return s.Customer(ctx, id)
}
