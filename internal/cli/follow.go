package cli

import (
	"context"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

const (
	// followEvery is the time between two looks at an order that is followed.
	followEvery = 200 * time.Millisecond
	// followAway is how long the store may be away before watching ends.
	followAway = time.Minute
)

// orders is what following an order needs of a store.
type orders interface {
	Job(ctx context.Context, id job.ID) (job.Job, error)
	Submissions(ctx context.Context, order job.ID) ([]directory.Submission, error)
	History(ctx context.Context, id job.ID) ([]job.Event, error)
}

// follow shows an order's progress until it is final. A store that is away for a
// moment, as in a restart, is asked again.
func follow(ctx context.Context, v view, s orders, id job.ID) (orderReport, error) {
	defer v.end()
	w := watcher{seen: map[job.ID]directory.SubmissionState{}, began: time.Now(), answered: time.Now()}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		l, err := w.look(ctx, s, id)
		switch {
		case ctx.Err() != nil: // what the store made of that does not matter
			return orderReport{}, ctx.Err()
		case err != nil && (statusOf(err) == ExitNotFound || time.Since(w.answered) > followAway):
			return orderReport{}, err
		case err == nil:
			w.answered = time.Now()
		}
		v.show(l)
		if l.job.State.Final() {
			return newOrderReport(l.job, l.subs), nil
		}
		select {
		case <-ctx.Done():
			return orderReport{}, ctx.Err()
		case <-tick.C:
		}
	}
}

// look is an order at one moment, and what is new since the last.
type look struct {
	job     job.Job
	subs    []directory.Submission
	news    []directory.Submission // reached a new state that is worth a line
	note    string                 // why nothing goes on at the moment; empty: it does
	elapsed time.Duration
}

// watcher remembers what it has shown.
type watcher struct {
	seen     map[job.ID]directory.SubmissionState
	began    time.Time
	answered time.Time // when the store answered last
	last     look
	waiting  wait
}

// wait is one time that a job was given back, and the reason.
type wait struct {
	fence int64
	cause string
}

// look asks the store. When it does not answer, the look is the last one with a
// note that says so.
func (w *watcher) look(ctx context.Context, s orders, id job.ID) (look, error) {
	w.last.news, w.last.note, w.last.elapsed = nil, "", time.Since(w.began)
	j, err := s.Job(ctx, id)
	if err != nil {
		w.last.note = "is out of sight: " + plain(err.Error())
		return w.last, missing(id, err)
	}
	subs, err := s.Submissions(ctx, id)
	if err != nil {
		w.last.note = "is out of sight: " + plain(err.Error())
		return w.last, err
	}
	l := look{job: j, subs: subs, elapsed: w.last.elapsed}
	for _, sub := range subs {
		if w.seen[sub.ID] != sub.State && !sub.State.Open() {
			l.news = append(l.news, sub)
		}
		w.seen[sub.ID] = sub.State
	}
	if j.State == job.Pending && j.Fence > 0 {
		l.note = w.waits(ctx, s, j)
	}
	w.last = l
	return l, nil
}

// waits says why a job that ran before is pending. The job's own cause is its last
// failure, which need not be the reason, so the history is asked, once a wait.
func (w *watcher) waits(ctx context.Context, s orders, j job.Job) string {
	if w.waiting.fence != j.Fence {
		if events, err := s.History(ctx, j.ID); err == nil {
			w.waiting = wait{j.Fence, backCause(events)}
		}
	}
	text := "waits until " + j.DueAt.Local().Format(time.TimeOnly)
	if w.waiting.fence == j.Fence && w.waiting.cause != "" {
		text += ": " + plain(w.waiting.cause)
	}
	return text
}

// backCause is why a job became pending last.
func backCause(events []job.Event) string {
	for _, e := range slices.Backward(events) {
		if e.To == string(job.Pending) {
			return e.Cause
		}
	}
	return ""
}

// view shows looks at an order.
type view interface {
	show(look)
	end()
}

// view chooses how progress is shown: redrawn on a terminal, lines elsewhere, not
// at all when only data is wanted.
func (a *app) view(title string) view {
	switch {
	case a.Quiet:
		return noView{}
	case a.screen().live:
		return &liveView{w: a.stderr, screen: a.screen(), title: title}
	}
	return &lineView{w: a.stderr}
}

type noView struct{}

func (noView) show(look) {}
func (noView) end()      {}
