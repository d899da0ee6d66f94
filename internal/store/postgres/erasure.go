package postgres

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
	"github.com/jackc/pgx/v5"
)

// EraseCustomer removes what is personal about a customer.
func (s *Store) EraseCustomer(ctx context.Context, id uuid.UUID, by job.By) (auth.Erasure, error) {
	what := "erase customer " + id.String()
	secret, err := s.Secret(ctx, store.ErasureSecret)
	if err != nil {
		return auth.Erasure{}, fmt.Errorf("%s: %w", what, err)
	}
	var e erasure
	err = again(ctx, func() error {
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			e = erasure{alertTx: &alertTx{ctx: ctx, tx: tx}, customer: id, by: by, secret: secret}
			return e.run()
		})
	})
	if err != nil {
		return auth.Erasure{}, fmt.Errorf("%s: %w", what, readable(err))
	}
	return e.done, nil
}

// erasure is one transaction that erases a customer.
type erasure struct {
	*alertTx
	customer uuid.UUID
	by       job.By
	secret   []byte
	done     auth.Erasure
}

func (e *erasure) run() error {
	if _, err := oneIn(e.alertTx, "LockCustomer", scanID, dbID(e.customer)); err != nil {
		return err
	}
	ids, err := e.endWork()
	if err != nil {
		return err
	}
	blobs, err := allIn(e.alertTx, "CustomerEvidence", scanText, dbID(e.customer))
	if err != nil {
		return err
	}
	if err := e.submissions(); err != nil {
		return err
	}
	if err := e.letGo(blobs); err != nil {
		return err
	}
	// The gate reads notices and writes alerts under this lock: what it has not read by
	// now it reads without causes. It takes the lock first, so nothing of what it writes
	// may be locked here before.
	if _, err := oneIn(e.alertTx, "LockAlerts", scanMoment); err != nil {
		return err
	}
	for _, statement := range []string{"EraseNotices", "EraseAlerts", "EraseDeliveries"} {
		if err := e.exec(statement, dbID(e.customer), dbIDs(ids)); err != nil {
			return err
		}
	}
	for _, step := range []struct {
		statement string
		count     *int64
	}{
		{"EraseJobs", &e.done.Jobs},
		{"EraseLetters", &e.done.Letters},
		{"EndCustomerSessions", new(int64)},
		{"EraseRequests", new(int64)},
		{"EraseKeys", &e.done.Keys},
		{"ErasePauses", new(int64)},
	} {
		if err := e.erase(step.count, step.statement, dbID(e.customer)); err != nil {
			return err
		}
	}
	if err := e.exec("EraseCustomer", dbID(e.customer), actor(e.by), plain(e.by.Reason), e.done.Jobs, e.done.Submissions); err != nil {
		return err
	}
	return e.erase(&e.done.Events, "EraseEvents", dbID(e.customer))
}

// endWork cancels rechecks and gives letters up; nothing could be done with either
// afterwards. It answers all jobs of the customer.
func (e *erasure) endWork() ([]job.ID, error) {
	jobs, err := allIn(e.alertTx, "CustomerJobs", func(row pgx.CollectableRow) (j store.CustomerJob, err error) {
		err = row.Scan((*nullID)(&j.ID), &j.Kind, &j.State)
		return j, err
	}, dbID(e.customer))
	if err != nil {
		return nil, err
	}
	ids, rechecks, err := store.Erasable(jobs)
	if err != nil {
		return nil, err
	}
	for _, id := range rechecks {
		if err := e.exec("CancelJob", dbID(id), actor(e.by), store.ErasedReason); err != nil {
			return nil, err
		}
	}
	letters, err := allIn(e.alertTx, "CustomerLetters", scanID, dbID(e.customer))
	if err != nil || len(letters) == 0 {
		return ids, err
	}
	event, act, err := store.Decision(job.FatePurged, e.by)
	if err != nil {
		return nil, err
	}
	return ids, e.exec("ResolveLetters", dbIDs(letters), string(job.FatePurged), actor(e.by), dbText(store.ErasedReason), event, dbText(act))
}

func (e *erasure) submissions() error {
	identities, err := allIn(e.alertTx, "CustomerIdentities", scanText, dbID(e.customer))
	if err != nil {
		return err
	}
	for _, identity := range identities {
		if err := e.erase(&e.done.Submissions, "EraseSubmissions", dbID(e.customer), identity, store.ErasedIdentity(e.secret, identity)); err != nil {
			return err
		}
	}
	return nil
}

// letGo records which blobs the customer's outcomes no longer refer to, and answers those
// that nobody does.
func (e *erasure) letGo(blobs []string) error {
	if len(blobs) == 0 {
		return nil
	}
	if err := e.exec("AddErasedEvidence", blobs); err != nil {
		return err
	}
	held, err := allIn(e.alertTx, "HeldEvidence", scanText, blobs)
	e.done.Evidence = slices.DeleteFunc(blobs, func(name string) bool { return slices.Contains(held, name) })
	return err
}

// HeldEvidence answers those of the blobs that an outcome refers to.
func (s *Store) HeldEvidence(ctx context.Context, names []string) ([]string, error) {
	return all(ctx, s, "look what evidence is referred to", "HeldEvidence", scanText, names)
}

// ErasedEvidence lists blobs that outcomes of erased customers referred to.
func (s *Store) ErasedEvidence(ctx context.Context, after evidence.Erased, limit int) ([]evidence.Erased, error) {
	return all(ctx, s, "list erased evidence", "ListErasedEvidence", func(row pgx.CollectableRow) (e evidence.Erased, err error) {
		err = row.Scan((*nullTime)(&e.At), &e.SHA256)
		return e, err
	}, after.At, after.SHA256, limit)
}

// erase runs a statement and adds the rows it changed to count.
func (e *erasure) erase(count *int64, statement string, args ...any) error {
	tag, err := e.tx.Exec(e.ctx, statements.Get(statement), args...)
	*count += tag.RowsAffected()
	return err
}

// CustomerByEmail answers a customer.
func (s *Store) CustomerByEmail(ctx context.Context, email string) (auth.Account, error) {
	id, err := one(ctx, s, "find a customer by e-mail", "CustomerByEmail", scanID, plain(strings.TrimSpace(email)))
	if err != nil {
		return auth.Account{}, err
	}
	return s.Customer(ctx, id)
}
