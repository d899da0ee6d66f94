package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
)

// Judge implements [job.Recoverer].
func (s *Store) Judge(ctx context.Context, lease time.Duration) (j job.Judgement, err error) {
	if lease <= 0 {
		return j, fmt.Errorf("judge workers: %w", &job.InvalidError{Field: "lease", Reason: "must be positive"})
	}
	err = s.write(ctx, func(t *tx) (err error) {
		j, err = t.judge(lease)
		return err
	})
	if err != nil {
		return job.Judgement{}, fmt.Errorf("judge workers: %w", err)
	}
	return j, nil
}

// tally is what the breaker looks at.
type tally struct{ owners, expired, silent, proved int }

// stormy counts who is silent for half of the lease when the first expires: whoever
// fell silent together expires within a heartbeat, one after the other.
func (c tally) stormy() bool {
	return c.expired > 0 && c.silent >= job.StormOwners && 2*c.silent > c.owners
}

func (t *tx) tally(since int64) (tally, error) {
	return one(t, func(r row) (c tally, err error) {
		err = r.Scan(&c.owners, &c.expired, &c.silent, &c.proved)
		return c, err
	}, q.TallyWorkers, t.now, since)
}

func (t *tx) judge(lease time.Duration) (j job.Judgement, err error) {
	storm, err := t.openStorm()
	if err != nil {
		return j, err
	}
	before, err := t.tally(t.now)
	if err != nil {
		return j, err
	}
	held := before.stormy()
	if storm != nil {
		held = fromMicros(t.now).Before(storm.OpenedAt.Add(job.StormHold))
	}
	if j.Retired, err = t.retireExpired(held); err != nil {
		return j, err
	}
	if storm == nil && !held {
		return j, nil
	}
	j.Storm, j.Opened, err = t.turn(storm, lease)
	return j, err
}

// turn opens a storm, notes that it calmed, or closes it.
func (t *tx) turn(storm *job.Storm, lease time.Duration) (turned *job.Storm, opened bool, err error) {
	if storm == nil {
		c, err := t.tally(t.now)
		if err != nil || !c.stormy() {
			return nil, false, err // enough of them were proved dead this very moment
		}
		turned, err = t.open(c)
		return turned, err == nil, err
	}
	c, err := t.tally(storm.OpenedAt.UnixMicro())
	if err != nil {
		return nil, false, err
	}
	now, was := fromMicros(t.now), *storm
	switch {
	case c.stormy():
		storm.CalmAt = time.Time{}
	case storm.CalmAt.IsZero():
		storm.CalmAt = now
	}
	switch {
	case c.stormy():
	case !now.Before(storm.OpenedAt.Add(job.StormHold)):
		storm.Ending = job.StormOver
	case storm.Dead-c.proved < job.StormOwners:
		storm.Ending = job.StormProof
	case !now.Before(storm.CalmAt.Add(lease)):
		storm.Ending = job.StormBeats
	}
	if storm.Ending != "" {
		storm.ClosedAt = now
	}
	if *storm == was {
		return storm, false, nil
	}
	_, err = t.exec(q.TurnBreaker, storm.ID.String(), microsOrNull(storm.CalmAt), microsOrNull(storm.ClosedAt), orNull(storm.Ending))
	if err == nil && !storm.Open() {
		err = t.tellStorm(storm, 0)
	}
	return storm, false, err
}

func (t *tx) open(c tally) (*job.Storm, error) {
	storm := &job.Storm{ID: job.NewID(), OpenedAt: fromMicros(t.now), Owners: c.owners, Dead: c.silent}
	if _, err := t.exec(q.OpenStorm, storm.ID.String(), t.now, storm.Owners, storm.Dead); err != nil {
		return nil, err
	}
	value, err := one(t, func(r row) (cents int64, err error) {
		err = r.Scan(&cents)
		return cents, err
	}, q.ValueInStorm, t.now)
	if err != nil {
		return nil, err
	}
	return storm, t.tellStorm(storm, value)
}

func (t *tx) tellStorm(storm *job.Storm, value int64) error {
	detail := detail(map[string]any{"storm": storm.ID, "owners": storm.Owners, "dead": storm.Dead})
	e, n := job.Event{Type: job.EventStormOpened, Cause: storm.Ending, Detail: detail}, &job.Notice{
		Key: "storm:opened:" + storm.ID.String(), Alert: job.AlertStorm, Count: int64(storm.Dead), ValueCents: value, Cause: storm.Ending,
		Text: fmt.Sprintf("%d of %d workers stopped beating at once: the clock or the database is suspect, "+
			"recovery of their jobs is held for a minute at most", storm.Dead, storm.Owners),
	}
	if !storm.Open() {
		e.Type, n.Key, n.Resolved, n.Text = job.EventStormClosed, "storm:closed:"+storm.ID.String(), true, endings[storm.Ending]
	}
	e, notice, err := store.Told(e, n)
	if err != nil {
		return err
	}
	return t.tell(e, n, notice)
}

// endings says in words how a storm ended.
var endings = map[string]string{
	job.StormBeats: "the workers beat again, nobody had died",
	job.StormProof: "enough of the workers are proved dead, recovery goes on",
	job.StormOver:  "the time is over, recovery goes on",
}

func (t *tx) openStorm() (*job.Storm, error) {
	storms, err := all(t, scanStorm, q.LastStorm)
	if err != nil || len(storms) == 0 || !storms[0].Open() {
		return nil, err
	}
	return &storms[0], nil
}

func scanStorm(r row) (s job.Storm, err error) {
	err = r.Scan(&s.ID, moment{&s.OpenedAt}, &s.Owners, &s.Dead, moment{&s.CalmAt}, moment{&s.ClosedAt}, maybe[string]{&s.Ending})
	return s, err
}

// LastStorm implements [job.Recoverer].
func (s *Store) LastStorm(ctx context.Context) (*job.Storm, error) {
	storms, err := all(s.read(ctx), scanStorm, q.LastStorm)
	if err != nil {
		return nil, fmt.Errorf("read the last storm: %w", s.explain(err))
	}
	if len(storms) == 0 {
		return nil, nil
	}
	return &storms[0], nil
}
