package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/stale"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

const (
	// spare are pending jobs that a live worker claims while recovery runs. They are
	// more urgent than the stale ones, and more than it can take.
	spare = 10_000
	// claimPause is the live worker's rest between two claims.
	claimPause = 2 * time.Millisecond
	// baseline is how long claims are watched before recovery begins.
	baseline = time.Second
)

// recovery measures how long it takes until the jobs of a dead worker are
// claimable again, and how long a live worker's claim waits meanwhile.
func recovery(ctx context.Context, t task) (result, error) {
	if t.Side == "ours" {
		return recoverOurs(ctx, t)
	}
	return recoverRiver(ctx, t)
}

func recoverOurs(ctx context.Context, t task) (r result, err error) {
	o, err := openOurs(ctx, t)
	if err != nil {
		return r, err
	}
	defer o.close()
	w, err := newWitness(ctx, t)
	if err != nil {
		return r, err
	}
	defer w.close()
	dead, err := o.deadWorker(ctx, w, t.Jobs)
	if err != nil {
		return r, fmt.Errorf("prepare: %w", err)
	}
	live := job.NewID()
	if err := o.register(ctx, live); err != nil {
		return r, err
	}
	// Its lease ends now.
	if _, err := o.store.Beat(ctx, dead, time.Millisecond, nil); err != nil {
		return r, err
	}
	claimer := watchClaims(ctx, func(ctx context.Context) error {
		got, err := o.store.Claim(ctx, job.ClaimRequest{Worker: live, Limit: 1, Kinds: []string{o.Kind}})
		if err == nil && len(got) != 1 {
			err = fmt.Errorf("claimed %d jobs", len(got))
		}
		return err
	})
	var passed stale.Result
	r.Usage, err = measured(t, func() (err error) {
		passed, err = stale.New(stale.Config{Store: o.store, Log: quiet}).Pass(ctx)
		return err
	})
	if err := errors.Join(err, claimer.stop()); err != nil {
		return r, err
	}
	r.Metrics = claimer.metrics()
	r.Metrics["all claimable, s"] = r.Usage.Wall.Seconds()
	return r, checkRecovered(ctx, w, dead, len(passed.Recovered), t.Jobs)
}

// deadWorker registers a worker, lets it claim n jobs and do nothing more, and adds
// the spare ones. Statistics are of before the claims, as they are when a worker
// dies: no planner knows of the jobs it runs.
func (o *ours) deadWorker(ctx context.Context, w *witness, n int) (job.ID, error) {
	id := job.NewID()
	if err := o.register(ctx, id); err != nil {
		return id, err
	}
	err := inBatches(n, func(n int) error {
		return o.add(ctx, n, func(int) int { return job.PriorityLowest })
	})
	if err == nil {
		err = w.settle(ctx)
	}
	for left := n; left > 0 && err == nil; {
		var got []job.Job
		got, err = o.store.Claim(ctx, job.ClaimRequest{Worker: id, Limit: min(left, 1000), Kinds: []string{o.Kind}})
		if err == nil && len(got) == 0 {
			err = fmt.Errorf("%d jobs are not to be had", left)
		}
		left -= len(got)
	}
	if err == nil {
		err = o.add(ctx, spare, func(int) int { return job.PriorityUrgent })
	}
	if err == nil {
		err = w.checkpoint(ctx)
	}
	return id, err
}

func (o *ours) register(ctx context.Context, id job.ID) error {
	return o.store.Register(ctx, job.Worker{ID: id, Host: "bench", PID: 1, Version: "bench", Kinds: []string{o.Kind}, Capacity: 10}, time.Hour)
}

// checkRecovered has the database confirm what the pass said, history included.
func checkRecovered(ctx context.Context, w *witness, dead job.ID, said, want int) error {
	var held, told int
	err := errors.Join(
		w.db.QueryRowContext(ctx, "SELECT count(*) FROM jobs WHERE state = 'in_progress' AND worker_id = $1", dead.String()).Scan(&held),
		w.db.QueryRowContext(ctx, "SELECT count(*) FROM events WHERE type = 'job.recovered' AND worker_id = $1", dead.String()).Scan(&told))
	if err == nil && (said != want || held != 0 || told != want) {
		err = fmt.Errorf("of %d jobs %d were recovered, %d are still held, %d have it in their history", want, said, held, told)
	}
	return err
}

// recoverRiver gives River's leader jobs that have been running for two hours,
// where one is its limit. Its retry policy here is to retry at once.
func recoverRiver(ctx context.Context, t task) (r result, err error) {
	p, err := openRiver(ctx, t)
	if err != nil {
		return r, err
	}
	defer p.close()
	w, err := newWitness(ctx, t)
	if err != nil {
		return r, err
	}
	defer w.close()
	if err := p.stuck(ctx, w, t.Jobs); err != nil {
		return r, fmt.Errorf("prepare: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, errors.New("five minutes were not enough for River to recover all jobs"))
	defer cancel()

	claimer := watchClaims(ctx, func(ctx context.Context) error {
		_, err := p.exec.JobGetAvailable(ctx, &riverdriver.JobGetAvailableParams{
			ClientID: "live", MaxAttemptedBy: 100, MaxToLock: 1, Queue: river.QueueDefault,
		})
		return err
	})
	var first time.Duration
	var client riverClient
	r.Usage, err = measured(t, func() (err error) {
		begun := time.Now()
		if client, err = p.maintainer(ctx); err != nil {
			return err
		}
		if err := w.until(ctx, 5*time.Millisecond, "EXISTS (SELECT 1 FROM river_job WHERE state = 'retryable')"); err != nil {
			return err
		}
		first = time.Since(begun)
		return w.until(ctx, 5*time.Millisecond,
			"NOT EXISTS (SELECT 1 FROM river_job WHERE state = 'running' AND priority = 4)"+
				" AND NOT EXISTS (SELECT 1 FROM river_job WHERE state = 'retryable')")
	})
	if err := errors.Join(err, claimer.stop()); err != nil {
		return r, err
	}
	r.Metrics = claimer.metrics()
	r.Metrics["all claimable, s"] = r.Usage.Wall.Seconds()
	r.Metrics["first batch moved → all claimable, s"] = (r.Usage.Wall - first).Seconds()
	stopping, done := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer done()
	return r, client.Stop(stopping)
}

// stuck makes n jobs that a dead client is said to run, and spare ones.
func (p *peer) stuck(ctx context.Context, w *witness, n int) error {
	err := inBatches(n, func(n int) error {
		_, err := p.inserter.InsertManyFast(ctx, params(n, func(int) int { return 4 }))
		return err
	})
	if err != nil {
		return err
	}
	if err := w.settle(ctx); err != nil {
		return err
	}
	statement := `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now() - interval '2 hours', attempted_by = '{dead}'`
	if !w.pg {
		statement = `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = datetime('now', '-2 hours'), attempted_by = jsonb('["dead"]')`
	}
	if _, err := w.db.ExecContext(ctx, statement); err != nil {
		return err
	}
	if _, err = p.inserter.InsertManyFast(ctx, params(spare, func(int) int { return 1 })); err != nil {
		return err
	}
	return w.checkpoint(ctx)
}

// maintainer starts a client that leads and maintains, and works an empty queue.
func (p *peer) maintainer(ctx context.Context) (riverClient, error) {
	c := &river.Config{
		Queues:      map[string]river.QueueConfig{"empty": {MaxWorkers: 1}},
		Workers:     river.NewWorkers(),
		RetryPolicy: atOnce{},
	}
	river.AddWorker(c.Workers, &noopWorker{handle: func(context.Context, *river.Job[noopArgs]) error { return nil }})
	client, err := p.client(c)
	if err != nil {
		return nil, err
	}
	return client, client.Start(ctx)
}

// atOnce is the tightest retry policy there can be.
type atOnce struct{}

func (atOnce) NextRetry(*rivertype.JobRow) time.Time { return time.Now() }

// claims is a live worker's claims, watched: a while alone, then beside something.
type claims struct {
	before, during []time.Duration
	cancel         context.CancelFunc
	ended          chan error
}

// watchClaims claims again and again. It returns when the baseline is over.
func watchClaims(ctx context.Context, claim func(context.Context) error) *claims {
	ctx, cancel := context.WithCancel(ctx)
	c := &claims{cancel: cancel, ended: make(chan error, 1)}
	begun := make(chan struct{})
	go func() {
		until := time.Now().Add(baseline)
		for ctx.Err() == nil {
			at := time.Now()
			if err := claim(context.WithoutCancel(ctx)); err != nil {
				c.ended <- fmt.Errorf("claim beside recovery: %w", err)
				return
			}
			if took := time.Since(at); at.Before(until) {
				c.before = append(c.before, took)
			} else {
				c.during = append(c.during, took)
			}
			if begun != nil && time.Now().After(until) {
				close(begun)
				begun = nil
			}
			time.Sleep(claimPause)
		}
		c.ended <- nil
	}()
	select {
	case <-begun:
	case err := <-c.ended:
		c.ended <- err
	}
	return c
}

func (c *claims) stop() error {
	c.cancel()
	return <-c.ended
}

func (c *claims) metrics() map[string]float64 {
	before, during := milliseconds(c.before), milliseconds(c.during)
	return map[string]float64{
		"claim before, p99, ms":      percentile(before, 99),
		"claim meanwhile, p99, ms":   percentile(during, 99),
		"claim meanwhile, worst, ms": percentile(during, 100),
	}
}
