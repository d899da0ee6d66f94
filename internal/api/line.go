package api

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

const (
	// lineFor is how long a look at the line is good; one that took long, for as many
	// times as long as lineShare says: looking must not become the work.
	lineFor   = time.Second
	lineShare = 50
	// lineTooOld: nobody asked for so long that the next one waits for a new look.
	lineTooOld = 30 * time.Second
	// rateOver is the time over which completions are counted.
	rateOver = time.Hour
)

// lineStore is what a look reads.
type lineStore interface {
	job.Reader
	job.Rollups
}

// line is where all orders stand, as this process last looked: one look serves
// everybody who asks within a second or so.
type line struct {
	store lineStore

	mu      sync.Mutex
	last    *lookAtLine
	looking chan struct{} // closed when the look under way is over; nil: none is
	failed  error         // of the last look
}

// lookAtLine is one look. It is never changed.
type lookAtLine struct {
	at        time.Time // the store's clock
	taken     time.Time // ours
	took      time.Duration
	places    []job.Place
	pauses    []job.Pause
	completed int64 // orders, within rateOver
}

// now is the store's clock, carried on by ours.
func (l *lookAtLine) now() time.Time { return l.at.Add(time.Since(l.taken)) }

// good reports whether the look needs no successor yet.
func (l *lookAtLine) good() bool {
	return time.Since(l.taken) < max(lineFor, lineShare*l.took)
}

// lookAlways makes every question a look of its own; tests.
var lookAlways atomic.Bool

// look answers the last look, and has a new one taken when that is due. It waits for
// it only where there is none, or a very old one.
func (l *line) look(ctx context.Context) (*lookAtLine, error) {
	l.mu.Lock()
	last := l.last
	if lookAlways.Load() {
		last = nil
	}
	if last != nil && last.good() {
		l.mu.Unlock()
		return last, nil
	}
	if l.looking == nil {
		l.looking = make(chan struct{})
		go l.renew(context.WithoutCancel(ctx), l.looking)
	}
	looking := l.looking
	l.mu.Unlock()
	if last != nil && time.Since(last.taken) < lineTooOld {
		return last, nil
	}
	select {
	case <-looking:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil || time.Since(l.last.taken) >= lineTooOld {
		return nil, l.failed
	}
	return l.last, nil
}

// renew takes one look for all who wait.
func (l *line) renew(ctx context.Context, looking chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	next, err := takeLook(ctx, l.store)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed = err; err == nil {
		l.last = next
	}
	l.looking = nil
	close(looking)
}

func takeLook(ctx context.Context, s lineStore) (next *lookAtLine, err error) {
	next = &lookAtLine{taken: time.Now()}
	if next.at, err = s.Now(ctx); err != nil {
		return nil, err
	}
	if next.pauses, err = s.Pauses(ctx); err != nil {
		return nil, err
	}
	done, err := s.Rollups(ctx, job.FactCompleted, next.at.Add(-rateOver), next.at.Add(time.Minute))
	if err != nil {
		return nil, err
	}
	for _, r := range done {
		if r.Labels == job.KindOrder {
			next.completed += r.Value
		}
	}
	if next.places, err = s.Line(ctx, []string{job.KindOrder}, job.MostInLine); err != nil {
		return nil, err
	}
	next.took = time.Since(next.taken)
	return next, nil
}

// ahead is how many orders claims come to before that place, and how many stand in
// line with it.
func (l *lookAtLine) ahead(p job.Place) (ahead, of int) {
	n := len(l.places)
	ahead = sort.Search(n, func(i int) bool { return l.places[i].Compare(p) >= 0 })
	if ahead == n || l.places[ahead].ID != p.ID {
		n++ // it came after the look
	}
	return ahead, n
}

// waitsFor tells why a pending order does not run.
func (l *lookAtLine) waitsFor(j job.Job, now time.Time) string {
	for _, p := range l.pauses {
		if p.Scope.Covers(j) {
			return waitsForPause
		}
	}
	switch {
	case j.DueAt.After(now):
		return waitsForTime
	case j.Quarantined:
		return waitsForQuarantine
	}
	return waitsForTurn
}

// etaOfWaiting goes on as fast as orders were completed lately.
func (l *lookAtLine) etaOfWaiting(j job.Job, v queueView, now time.Time) *etaView {
	switch {
	case v.WaitsFor == waitsForPause:
		return &etaView{Basis: "it is paused"}
	case v.WaitsFor == waitsForQuarantine:
		return &etaView{Basis: "it waits for a worker that runs nothing else"}
	case l.completed == 0:
		return &etaView{Basis: "no order was completed within the last hour"}
	}
	each := rateOver / time.Duration(l.completed)
	basis := fmt.Sprintf("%d orders completed within the last hour", l.completed)
	if v.WaitsFor == waitsForTime {
		return etaIn(j.DueAt.Sub(now)+each, now, "its time comes; "+basis)
	}
	return etaIn(time.Duration(*v.Position)*each, now, fmt.Sprintf("%d before it; %s", *v.Position-1, basis))
}
