package postgres

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	priorities = job.PriorityLowest - job.PriorityUrgent + 1
	// oldestEvery: so many claims of a handle, and one takes the oldest due.
	oldestEvery = 10
	// rescanAfter bounds how long a job that the cursor passed over is passed over.
	rescanAfter = time.Second
)

// Claim hands out due jobs.
func (s *Store) Claim(ctx context.Context, r job.ClaimRequest) ([]job.Job, error) {
	if r.Limit <= 0 {
		return nil, fmt.Errorf("claim: %w", &job.InvalidError{Field: "limit", Reason: "must be positive"})
	}
	if r.Quarantined {
		jobs, _, err := s.claim(ctx, "ClaimQuarantined", r.Worker, 1, r.Kinds)
		return s.orRetired(ctx, r.Worker, jobs, err)
	}
	after, oldest := s.cursor.begin()
	statement := "ClaimJobs"
	if oldest {
		statement = "ClaimOldest"
	}
	jobs, err := s.claimAfter(ctx, statement, r, r.Limit, after)
	// A short answer may only mean that other callers hold what was in reach, or that
	// the rest lies before the cursor: the whole range is asked once more.
	if err == nil && len(jobs) < r.Limit && (oldest || !after.fresh()) {
		more, second := s.claimAfter(ctx, "ClaimJobs", r, r.Limit-len(jobs), s.cursor.reset())
		if second != nil && len(jobs) == 0 {
			return nil, second // with jobs in hand, they matter more than the error
		}
		jobs = append(jobs, more...)
	}
	if err == nil && len(jobs) < r.Limit {
		// The next claim begins from the front. On an idle system it needs no second look
		// then, which its first job would wait for.
		s.cursor.reset()
	}
	return s.orRetired(ctx, r.Worker, jobs, err)
}

// claimAfter claims behind the positions and moves the cursor on.
func (s *Store) claimAfter(ctx context.Context, statement string, r job.ClaimRequest, limit int, after positions) ([]job.Job, error) {
	jobs, asked, err := s.claim(ctx, statement, r.Worker, limit, r.Kinds, after.args()...)
	if err == nil {
		s.cursor.advance(after, jobs, asked, statement == "ClaimJobs" && len(jobs) == limit)
		order := byPriority
		if statement == "ClaimOldest" {
			order = byDue
		}
		slices.SortFunc(jobs, order)
	}
	return jobs, err
}

// claim runs one claim statement. asked is the statement's own time.
func (s *Store) claim(ctx context.Context, statement string, worker job.ID, limit int, kinds []string, more ...any) (jobs []job.Job, asked time.Time, err error) {
	args := append([]any{dbID(worker), limit, slices.Concat([]string{}, kinds)}, more...)
	jobs, err = all(ctx, s, "claim jobs", statement, func(row pgx.CollectableRow) (j job.Job, err error) {
		err = row.Scan(append(jobTargets(&j), (*nullTime)(&asked))...)
		return j, err
	}, args...)
	return jobs, asked, err
}

// HasQuarantined reports whether a quarantined job of these kinds could be claimed.
func (s *Store) HasQuarantined(ctx context.Context, kinds []string) (bool, error) {
	return one(ctx, s, "look for quarantined jobs", "HasQuarantined", func(row pgx.CollectableRow) (has bool, err error) {
		err = row.Scan(&has)
		return has, err
	}, slices.Concat([]string{}, kinds))
}

// orRetired tells an empty answer from a refused one.
func (s *Store) orRetired(ctx context.Context, worker job.ID, jobs []job.Job, err error) ([]job.Job, error) {
	if err != nil || len(jobs) > 0 {
		return jobs, err
	}
	w, err := s.standing(ctx, worker)
	if err != nil && !errors.Is(err, job.ErrNotFound) {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	if !w.leased { // nobody is: it never registered, or its row is lost
		return nil, fmt.Errorf("claim jobs: worker %s: %w", worker, job.ErrRetired)
	}
	return nil, nil
}

func byPriority(a, b job.Job) int {
	return cmp.Or(cmp.Compare(a.Priority, b.Priority), byDue(a, b))
}

func byDue(a, b job.Job) int {
	return cmp.Or(a.DueAt.Compare(b.DueAt), bytes.Compare(a.ID[:], b.ID[:]))
}

// cursor remembers, for each priority, how far this handle has claimed, so that a
// claim does not walk again over index entries whose jobs are done. It is a
// shortcut, not a truth: what it passes over, because the job came back or its
// enqueue was committed late, is found when a claim comes back short, and after
// rescanAfter at the latest.
type cursor struct {
	mu     sync.Mutex
	claims int
	at     positions
	since  time.Time // when the cursor last began from the front
}

// position is a place in the index jobs_for_claim within one priority; the zero
// value is the front.
type position struct {
	due time.Time
	id  uuid.UUID
}

type positions struct {
	epoch int // a cursor that began anew does not take the word of an older claim
	of    [priorities]position
}

func (p *positions) fresh() bool { return p.of == [priorities]position{} }

// args are the three arrays that the claim statements take.
func (p *positions) args() []any {
	ranks, dues, ids := make([]int16, priorities), make([]time.Time, priorities), make([][16]byte, priorities)
	for i, at := range p.of {
		ranks[i], dues[i], ids[i] = int16(i+job.PriorityUrgent), at.due, at.id
	}
	return []any{ranks, dues, ids}
}

// begin counts a claim and says where it begins.
func (c *cursor) begin() (after positions, oldest bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.since) >= rescanAfter {
		c.rewind()
	}
	c.claims++
	return c.at, c.claims%oldestEvery == 0
}

// reset begins from the front.
func (c *cursor) reset() positions {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rewind()
	return c.at
}

func (c *cursor) rewind() {
	c.at = positions{epoch: c.at.epoch + 1}
	c.since = time.Now()
}

// advance moves the cursor behind the jobs that a claim took. A claim that was full
// has walked the more urgent priorities to their end, whatever it found there: they
// are passed over up to the moment it asked. Paused jobs are walked once then, and
// not with each claim.
func (c *cursor) advance(from positions, jobs []job.Job, asked time.Time, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.epoch != from.epoch {
		return
	}
	least := 0
	for _, j := range jobs {
		rank := j.Priority - job.PriorityUrgent
		c.at.of[rank].raise(position{j.DueAt, j.ID})
		least = max(least, rank)
	}
	if full {
		for rank := range least {
			c.at.of[rank].raise(position{asked, uuid.Max})
		}
	}
}

func (p *position) raise(to position) {
	if cmp.Or(p.due.Compare(to.due), bytes.Compare(p.id[:], to.id[:])) < 0 {
		*p = to
	}
}
