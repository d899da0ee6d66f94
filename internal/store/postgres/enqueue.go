package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// Enqueue adds jobs, all or none: in one statement, which is a simple one for one
// plain job, or by COPY when they are many and plain.
func (s *Store) Enqueue(ctx context.Context, specs ...job.Spec) ([]job.Enqueued, error) {
	if len(specs) == 0 {
		return nil, nil
	}
	full, err := store.Complete(specs)
	if err != nil {
		return nil, fmt.Errorf("enqueue: %w", err)
	}
	ids, err := s.add(ctx, full)
	if violates(err, "jobs_pkey") {
		return nil, fmt.Errorf("enqueue: %w", &job.InvalidError{Field: "id", Reason: "is the id of another job"})
	}
	if err != nil {
		return nil, err
	}
	if len(ids) == len(full) {
		return answers(full), nil
	}
	return s.answersWithKnown(ctx, full, ids)
}

// add adds the jobs whose keys are new, wakes whoever waits, and returns their ids.
func (s *Store) add(ctx context.Context, specs []job.Spec) (added []uuid.UUID, err error) {
	plain := !s.config.Hints && !slices.ContainsFunc(specs, func(spec job.Spec) bool { return !rowOnly(spec) })
	if plain && len(specs) >= copyFrom {
		if err := s.copyIn(ctx, specs); err != nil {
			return nil, err
		}
		s.bell.ring()
		return make([]uuid.UUID, len(specs)), nil // all were added: which is which does not matter
	}
	carried := s.bell.carry()
	if plain && len(specs) == 1 {
		added = []uuid.UUID{specs[0].ID}
		_, err = changed(ctx, s, "enqueue", "EnqueueJob", append(specRow(specs[0]), carried)...)
	} else {
		added, err = all(ctx, s, "enqueue", "EnqueueJobs", func(row pgx.CollectableRow) (id uuid.UUID, err error) {
			err = row.Scan((*nullID)(&id), nil)
			return id, err
		}, append(specColumns(specs), s.config.Hints, carried)...)
	}
	switch {
	case err != nil || len(added) == 0:
	case carried != "":
		s.bell.wakeOurs()
	default:
		s.bell.ring()
	}
	return added, err
}

// rowOnly reports whether the spec is nothing but a row of jobs: no key to look up
// and no event to write.
func rowOnly(s job.Spec) bool {
	return s.IdempotencyKey == "" && s.Kind != job.KindOrder && s.Kind != job.KindCanary
}

// specRow turns a spec into the arguments of EnqueueJob.
func specRow(s job.Spec) []any {
	return []any{
		dbID(s.ID), s.Kind, int16(s.Priority), micros(s.Delay), dbID(s.CustomerID), dbText(s.Package), dbInt(s.Quota),
		s.ValueCents, s.Canary, []byte(s.Payload), int32(s.MaxAttempts), int32(s.CrashBudget),
	}
}

// answers are those of specs that were all added.
func answers(specs []job.Spec) []job.Enqueued {
	got := make([]job.Enqueued, len(specs))
	for i, spec := range specs {
		got[i] = job.Enqueued{ID: spec.ID, Created: true}
	}
	return got
}

// answersWithKnown looks up the jobs whose keys were known before.
func (s *Store) answersWithKnown(ctx context.Context, specs []job.Spec, added []uuid.UUID) ([]job.Enqueued, error) {
	type known struct {
		key string
		id  uuid.UUID
	}
	isNew := make(map[uuid.UUID]bool, len(added))
	for _, id := range added {
		isNew[id] = true
	}
	var keys []string
	for _, spec := range specs {
		if !isNew[spec.ID] {
			keys = append(keys, spec.IdempotencyKey)
		}
	}
	earlier, err := all(ctx, s, "enqueue: look up idempotency keys", "EnqueuedBefore", func(row pgx.CollectableRow) (k known, err error) {
		err = row.Scan(&k.key, (*nullID)(&k.id))
		return k, err
	}, keys)
	if err != nil {
		return nil, err
	}
	byKey := make(map[string]uuid.UUID, len(earlier))
	for _, k := range earlier {
		byKey[k.key] = k.id
	}
	got := answers(specs)
	for i, spec := range specs {
		if isNew[spec.ID] {
			continue
		}
		id, found := byKey[spec.IdempotencyKey]
		if !found {
			// Retention forgot it between our two statements.
			return nil, fmt.Errorf("enqueue: the job of idempotency key %q was pruned at this moment; try again", spec.IdempotencyKey)
		}
		got[i] = job.Enqueued{ID: id}
	}
	return got, nil
}

// specColumns turns specs into one array for each column of EnqueueJobs. Rows are
// ordered by key: two callers that insert the same keys in different orders would
// wait for each other.
func specColumns(specs []job.Spec) []any {
	if slices.ContainsFunc(specs, func(s job.Spec) bool { return s.IdempotencyKey != "" }) {
		specs = slices.SortedStableFunc(slices.Values(specs), func(a, b job.Spec) int {
			return strings.Compare(a.IdempotencyKey, b.IdempotencyKey)
		})
	}
	n := len(specs)
	var (
		ids, kinds              = make([][16]byte, n), make([]string, n)
		priorities, delays      = make([]int16, n), make([]int64, n)
		keys, customers         = make([]pgtype.Text, n), make([]pgtype.UUID, n)
		packages, quotas        = make([]pgtype.Text, n), make([]pgtype.Int4, n)
		values, canaries        = make([]int64, n), make([]bool, n)
		payloads                = make([][]byte, n)
		maxAttempts, crashLimit = make([]int32, n), make([]int32, n)
		actors                  = make([]string, n)
	)
	for i, s := range specs {
		ids[i], kinds[i], priorities[i], delays[i] = s.ID, s.Kind, int16(s.Priority), micros(s.Delay)
		keys[i], customers[i], packages[i], quotas[i] = dbText(s.IdempotencyKey), dbID(s.CustomerID), dbText(s.Package), dbInt(s.Quota)
		values[i], canaries[i], payloads[i] = s.ValueCents, s.Canary, s.Payload
		maxAttempts[i], crashLimit[i], actors[i] = int32(s.MaxAttempts), int32(s.CrashBudget), s.Actor
	}
	return []any{
		ids, kinds, priorities, delays, keys, customers, packages, quotas,
		values, canaries, payloads, maxAttempts, crashLimit, actors,
	}
}
