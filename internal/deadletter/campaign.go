package deadletter

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Steps of a careful campaign: one letter, then five, then up to a tenth of all, of
// which no more than a few are out at once. So when the cause persists, at most
// careful jobs came back when the campaign stops.
const (
	firstStep  = 1
	secondStep = 5
	careful    = 10 // letters whose outcome is not known, at most, before the rest is let go
	share      = 10 // one in so many is tried before the rest
)

// redriveBatch is how many letters one transaction moves.
const redriveBatch = 500

// Campaign redrives the letters that a filter selects and that were there when it
// began, the newest first. It keeps nothing of its own: what it did is in the store.
type Campaign struct {
	Store  job.Letters      // required
	Filter job.LetterFilter // Before is where to begin; Limit bounds nothing
	By     job.By           // who and why
	Rate   int              // letters a second; zero: as fast as the store takes them
	Canary bool             // a few first, the rest only when these do not come back
	Poll   time.Duration    // between two looks at outcomes; 1 s
	Tell   func(Progress)   // hears how far it is; nil: nobody
	sleep  func(context.Context, time.Duration) error
}

// Progress is how far a campaign is.
type Progress struct {
	Total    int64  `json:"total"`    // letters selected when it began
	Redriven int64  `json:"redriven"` // moved so far
	Waiting  int64  `json:"waiting"`  // of a careful campaign: redriven, outcome not known
	Done     int64  `json:"done"`
	Returned int64  `json:"returned"`          // failed again with the same signature
	Others   int64  `json:"failed_otherwise"`  // failed again with another
	Stopped  string `json:"stopped,omitempty"` // why the campaign ended before its time
}

// Run redrives. It returns how far it came also when ctx ends, or the store fails, in
// the middle; whatever was not redriven by then is open, and the same campaign may be
// begun again.
func (c Campaign) Run(ctx context.Context) (Progress, error) {
	if c.Poll <= 0 {
		c.Poll = time.Second
	}
	if c.Tell == nil {
		c.Tell = func(Progress) {}
	}
	if c.sleep == nil {
		c.sleep = sleep
	}
	r := &run{Campaign: c, out: map[job.ID]string{}}
	groups, err := c.Store.LetterGroups(ctx, c.Filter)
	if err != nil {
		return r.at, err
	}
	for _, g := range groups {
		r.at.Total += g.Count
	}
	if c.Canary {
		err = r.carefully(ctx)
	} else {
		err = r.release(ctx)
	}
	return r.at, err
}

// run is a campaign under way.
type run struct {
	Campaign
	at   Progress
	page []job.Letter      // read, not yet redriven
	end  bool              // no further page
	out  map[job.ID]string // careful: letters whose outcome is not known, and their signatures
}

// carefully goes step by step; it stops when a step's letters come back.
func (r *run) carefully(ctx context.Context) error {
	for _, step := range []int64{firstStep, secondStep} {
		if stopped, err := r.step(ctx, step, step); stopped || err != nil {
			return err
		}
	}
	tenth := r.at.Total/share - r.at.Redriven
	if stopped, err := r.step(ctx, tenth, careful); stopped || err != nil {
		return err
	}
	r.out = nil
	return r.release(ctx)
}

// step redrives n letters, at most window of them out at once, and waits until the
// outcome of each is known. It reports whether the campaign has ended.
func (r *run) step(ctx context.Context, n, window int64) (stopped bool, err error) {
	for begun := int64(0); begun < n || len(r.out) > 0; {
		if room := min(n-begun, window-int64(len(r.out))); room > 0 {
			moved, err := r.batch(ctx, int(room))
			if err != nil {
				return false, err
			}
			begun += moved
			if r.end && len(r.page) == 0 {
				n = begun
			}
		}
		if err := r.watch(ctx); err != nil {
			return false, err
		}
		if r.judge(); r.at.Stopped != "" {
			return true, nil
		}
		if len(r.out) > 0 {
			if err := r.sleep(ctx, r.Poll); err != nil {
				return false, err
			}
		}
	}
	return r.end && len(r.page) == 0, nil
}

// judge stops the campaign when the cause is still there.
func (r *run) judge() {
	switch failed := r.at.Returned + r.at.Others; {
	case r.at.Returned > 0:
		r.at.Stopped = fmt.Sprintf("%d of %d redriven letters came back with the same signature", r.at.Returned, r.at.Redriven)
	case failed > r.at.Done && failed > 1:
		r.at.Stopped = fmt.Sprintf("%d of %d redriven letters failed again, with other signatures", failed, r.at.Redriven)
	}
}

// watch learns the outcome of letters that are out.
func (r *run) watch(ctx context.Context) error {
	ids := make([]job.ID, 0, len(r.out))
	for id := range r.out {
		ids = append(ids, id)
	}
	outcomes, err := r.Store.RedriveOutcomes(ctx, ids)
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		switch {
		case o.Again != "" && job.TidySignature(o.Again) == r.out[o.LetterID]:
			r.at.Returned++
		case o.Again != "":
			r.at.Others++
		case o.State.Final():
			r.at.Done++
		default:
			continue
		}
		delete(r.out, o.LetterID)
	}
	r.at.Waiting = int64(len(r.out))
	r.Tell(r.at)
	return nil
}

// release redrives all that is left, without waiting for what comes of it.
func (r *run) release(ctx context.Context) error {
	begun, released := time.Now(), int64(0)
	for {
		size := redriveBatch
		if r.Rate > 0 {
			size = min(size, max(1, r.Rate/4))
		}
		moved, err := r.batch(ctx, size)
		if err != nil {
			return err
		}
		released += moved
		r.Tell(r.at)
		if r.end && len(r.page) == 0 {
			return nil
		}
		if r.Rate > 0 {
			due := time.Duration(released) * time.Second / time.Duration(r.Rate)
			if err := r.sleep(ctx, due-time.Since(begun)); err != nil {
				return err
			}
		}
	}
}

// batch redrives the next size letters in one transaction, and counts those that
// moved: others may have decided about some meanwhile.
func (r *run) batch(ctx context.Context, size int) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, context.Cause(ctx)
	}
	if err := r.read(ctx); err != nil {
		return 0, err
	}
	size = min(size, len(r.page))
	ids := make([]job.ID, size)
	signatures := make(map[job.ID]string, size)
	for i, l := range r.page[:size] {
		ids[i], signatures[l.ID] = l.ID, l.Signature
	}
	moved, err := r.Store.RedriveLetters(ctx, ids, r.By)
	if err != nil {
		return 0, err
	}
	r.page = r.page[size:]
	for _, id := range moved {
		if r.out != nil && r.Canary {
			r.out[id] = job.TidySignature(signatures[id])
		}
	}
	r.at.Redriven += int64(len(moved))
	r.at.Waiting = int64(len(r.out))
	return int64(len(moved)), nil
}

// read has a page at hand, unless there is none left.
func (r *run) read(ctx context.Context) error {
	if len(r.page) > 0 || r.end {
		return nil
	}
	f := r.Filter
	f.Limit = redriveBatch
	page, err := r.Store.Letters(ctx, f)
	if err != nil {
		return err
	}
	r.end = len(page) < redriveBatch
	for _, l := range page {
		r.Filter.Before = l.ID
		if l.JobID != (job.ID{}) {
			l.Body = nil
			r.page = append(r.page, l)
		}
	}
	if len(r.page) == 0 && !r.end {
		return r.read(ctx)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
