package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/stale"
	"github.com/riverqueue/river"
)

// work is a worker process for the kill part. It tells on its output when it is
// ready, and of each attempt that it starts. First attempts never end by
// themselves; later ones succeed at once.
func work(ctx context.Context, t task) (r result, err error) {
	var leave func() error
	switch t.Side {
	case "ours":
		leave, err = workOurs(ctx, t)
	default:
		leave, err = workRiver(ctx, t)
	}
	if err != nil {
		return r, err
	}
	fmt.Println("ready")
	<-ctx.Done()
	return r, leave()
}

func workOurs(ctx context.Context, t task) (leave func() error, err error) {
	o, err := openOurs(ctx, t)
	if err != nil {
		return nil, err
	}
	leave, err = o.pool(ctx, job.HandlerFunc(func(ctx context.Context, a job.Attempt) error {
		return attemptOf(ctx, a.Job.Attempt)
	}))
	if err != nil {
		return nil, err
	}
	// As `directorybolt work` does: each worker process looks for dead ones.
	c := stale.Config{Store: o.store, Interval: t.Check, Log: quiet}
	if t.Watch {
		c.Lifelines = o.store
	}
	monitor := stale.New(c)
	go func() { _ = monitor.Run(ctx) }()
	return leave, o.registered(ctx)
}

// registered returns when the store knows this process as a worker.
func (o *ours) registered(ctx context.Context) error {
	for ctx.Err() == nil {
		workers, err := o.store.Workers(ctx, time.Second)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(workers, func(w job.Worker) bool { return w.PID == os.Getpid() }) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return context.Cause(ctx)
}

// workRiver runs a client as tight as its public settings allow: t.Lease is the
// longest a job may run, and from then on it counts as stuck.
func workRiver(ctx context.Context, t task) (leave func() error, err error) {
	p, err := openRiver(ctx, t)
	if err != nil {
		return nil, err
	}
	c := &river.Config{JobTimeout: t.Lease, RescueStuckJobsAfter: t.Lease, RetryPolicy: atOnce{}}
	return p.run(ctx, c, func(ctx context.Context, j *river.Job[noopArgs]) error { return attemptOf(ctx, j.Attempt) })
}

func attemptOf(ctx context.Context, attempt int) error {
	fmt.Println("start", attempt)
	if attempt > 1 {
		return nil
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// killing is a set of samples of kill -9.
type killing struct {
	task    task
	samples int
	lanes   int           // databases with two workers each, side by side
	spread  time.Duration // a worker is killed at a random moment so long after it started the job
	settle  time.Duration // and lives so long at least, as nearly every worker does
}

// kills measures, for each sample, the time from kill -9 of the worker that runs a
// job to the start of the next attempt in another process.
func kills(ctx context.Context, k killing, database func() (string, func() error, error)) (r result, err error) {
	var mu sync.Mutex
	var took []time.Duration
	left := make(chan struct{}, k.samples)
	for range k.samples {
		left <- struct{}{}
	}
	close(left)
	errs := make(chan error, k.lanes)
	var all sync.WaitGroup
	for range min(k.lanes, k.samples) {
		t := k.task
		url, drop, err := database()
		if err != nil {
			return r, err
		}
		t.URL = url
		all.Go(func() {
			err := func() error {
				l, err := openLane(ctx, t)
				if err != nil {
					return err
				}
				defer l.close()
				for range left {
					d, err := l.kill(ctx, k)
					if err != nil {
						return err
					}
					mu.Lock()
					took = append(took, d)
					mu.Unlock()
				}
				return nil
			}()
			errs <- errors.Join(err, drop())
		})
	}
	all.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	ms := milliseconds(took)
	for i := range ms {
		ms[i] /= 1000
	}
	r.Metrics = map[string]float64{
		"p50, s": percentile(ms, 50), "p99, s": percentile(ms, 99), "min, s": percentile(ms, 0), "max, s": percentile(ms, 100),
		"kills": float64(len(ms)),
	}
	return r, err
}

// lane is a database with two worker processes.
type lane struct {
	task    task
	side    side
	workers []*victim
	said    chan saying
}

// saying is a line of a worker's output, stamped when it came.
type saying struct {
	from *victim
	line string
	at   time.Time
}

type victim struct {
	cmd *exec.Cmd
	in  io.Closer
}

func openLane(ctx context.Context, t task) (l *lane, err error) {
	l = &lane{task: t, said: make(chan saying, 100)}
	if l.side, err = openSide(ctx, t); err != nil {
		return nil, err
	}
	for range 2 {
		if err := l.recruit(ctx); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

// recruit starts a worker process and waits until it is ready.
func (l *lane) recruit(ctx context.Context) error {
	cmd, in, out, err := sampleProcess(ctx, l.task)
	if err != nil {
		return err
	}
	v := &victim{cmd, in}
	l.workers = append(l.workers, v)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			l.said <- saying{v, lines.Text(), time.Now()}
		}
	}()
	_, err = l.hear(ctx, "ready", 30*time.Second)
	return err
}

// hear waits for a line.
func (l *lane) hear(ctx context.Context, line string, patience time.Duration) (saying, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case s := <-l.said:
			if s.line == line {
				return s, nil
			}
		case <-timer.C:
			return saying{}, fmt.Errorf("no worker of %s said %q within %s", l.task.Side, line, patience)
		case <-ctx.Done():
			return saying{}, context.Cause(ctx)
		}
	}
}

// kill is one sample.
func (l *lane) kill(ctx context.Context, k killing) (time.Duration, error) {
	time.Sleep(k.settle + rand.N(k.spread)) // no beat is in step with us
	if err := l.side.enqueue(ctx, 1); err != nil {
		return 0, err
	}
	began, err := l.hear(ctx, "start 1", 30*time.Second)
	if err != nil {
		return 0, err
	}
	time.Sleep(rand.N(k.spread))
	at := time.Now()
	if err := began.from.end(); err != nil {
		return 0, err
	}
	again, err := l.hear(ctx, "start 2", 3*time.Minute)
	if err != nil {
		return 0, err
	}
	if again.from == began.from {
		return 0, errors.New("a killed worker started a job")
	}
	l.workers = slices.DeleteFunc(l.workers, func(v *victim) bool { return v == began.from })
	return again.at.Sub(at), l.recruit(ctx)
}

// end kills the process, by its own handle and nothing else's, and buries it.
func (v *victim) end() error {
	err := v.cmd.Process.Kill()
	_ = v.in.Close()
	_ = v.cmd.Wait()
	return err
}

func (l *lane) close() {
	for _, v := range l.workers {
		_ = v.end()
	}
	_ = l.side.close()
}
