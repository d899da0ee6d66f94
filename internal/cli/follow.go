package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// followEvery is the time between two looks at an order that is followed.
const followEvery = 200 * time.Millisecond

// follow shows an order's progress until it is final. A store that is away for a
// moment is asked again.
func follow(ctx context.Context, a *app, s backend, id job.ID, title string) (orderReport, error) {
	v := a.view(title)
	defer v.end()
	w := watcher{seen: map[job.ID]directory.SubmissionState{}, began: time.Now()}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		look, err := w.look(ctx, s, id)
		if ctx.Err() != nil { // what the store made of that does not matter
			return orderReport{}, ctx.Err()
		}
		if err != nil {
			return orderReport{}, err
		}
		v.show(look)
		if look.job.State.Final() {
			return newOrderReport(look.job, look.subs), nil
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
	seen  map[job.ID]directory.SubmissionState
	began time.Time
}

func (w *watcher) look(ctx context.Context, s backend, id job.ID) (look, error) {
	j, err := s.Job(ctx, id)
	if err != nil {
		return look{}, missing(id, err)
	}
	subs, err := s.Submissions(ctx, id)
	if err != nil {
		return look{}, err
	}
	l := look{job: j, subs: subs, elapsed: time.Since(w.began)}
	for _, sub := range subs {
		if w.seen[sub.ID] != sub.State && !sub.State.Open() {
			l.news = append(l.news, sub)
		}
		w.seen[sub.ID] = sub.State
	}
	if j.State == job.Pending && j.Fence > 0 {
		l.note = waits(j)
	}
	return l, nil
}

// waits says why a job that ran before is pending.
func waits(j job.Job) string {
	text := fmt.Sprintf("waits until %s", j.DueAt.Local().Format(time.TimeOnly))
	if j.Cause != "" {
		text += ": " + plain(j.Cause)
	}
	return text
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
