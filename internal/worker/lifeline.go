package worker

import (
	"context"
	"errors"
	"time"

	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/job"
)

// tieLifeline begins to hold the tenure's lifeline.
func (t *tenure) tieLifeline() {
	ctx, stop := context.WithCancel(context.Background())
	held := async(func() { t.keepLifeline(ctx) })
	t.letGo = func() {
		stop()
		<-held
	}
}

// keepLifeline holds the tenure's lifeline until ctx ends. It is let go of only when
// the store knows that the tenure is over: until then whoever watches would take the
// worker for dead.
//
// When it is cut, somebody may have retired this worker a moment ago. A beat asks, at
// once and again when the lifeline is held anew: from then on nobody can conclude
// anything from its loss. A retired worker ends its tenure with that beat; one that is
// not goes on, so that a connection that broke costs no attempt.
func (t *tenure) keepLifeline(ctx context.Context) {
	retry := backoff.Policy{Base: 50 * time.Millisecond, Cap: 5 * time.Second}
	for n := 1; ; n++ {
		line, err := t.Store.Lifeline(ctx, t.id)
		switch {
		case err == nil:
			n = 0
			if !t.holdLifeline(ctx, line) {
				return
			}
		case ctx.Err() != nil, errors.Is(err, job.ErrNoSession):
			return
		default:
			if unsaid, now := t.lifelineFails.Say(); now {
				t.Log.WarnContext(ctx, "no lifeline, only the lease tells of this worker's death; will try again", "worker_id", t.id, "error", err.Error(), "unsaid", unsaid)
			}
		}
		if !sleep(ctx, retry.Ceiling(max(n, 1))) {
			return
		}
	}
}

// holdLifeline returns true when the lifeline was cut, false when ctx ended.
func (t *tenure) holdLifeline(ctx context.Context, line job.Lifeline) (cut bool) {
	t.Metrics.LifelineHeld(true)
	defer t.Metrics.LifelineHeld(false)
	if t.cut {
		t.beatNow()
	}
	select {
	case <-line.Cut():
		t.cut = true
		t.beatNow()
		return true
	case <-ctx.Done():
		line.Release()
		return false
	}
}
