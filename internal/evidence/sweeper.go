package evidence

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/directorybolt/directorybolt/internal/seldom"
)

const (
	// overlap is how far behind its last pass a sweeper looks again: a blob is noted some
	// time before its erasure is committed and can be seen.
	overlap = time.Hour
	// confirming is how long a blob may wait for its outcome until somebody asks whether
	// there is one.
	confirming = 10 * time.Minute
	// page is how many entries are read at once.
	page = 1000
	// passTimeout bounds one pass: a connection that nobody answers must not stop it.
	passTimeout = 10 * time.Minute
)

// Erased is a blob that an outcome of an erased customer referred to. Others may refer
// to it still.
type Erased struct {
	At     time.Time
	SHA256 string
}

// Erasures knows what erasures left behind. Stores keep it.
type Erasures interface {
	References
	Now(ctx context.Context) (time.Time, error)

	// ErasedEvidence lists blobs that outcomes of erased customers referred to, in order
	// of time and name: at most limit of those behind after. Retention forgets them
	// after a year.
	ErasedEvidence(ctx context.Context, after Erased, limit int) ([]Erased, error)
}

// SweeperConfig describes a sweeper. Zero means the default.
type SweeperConfig struct {
	Dir      *Dir          // required
	Erasures Erasures      // required
	Interval time.Duration // between passes; 2 min
	Log      *slog.Logger  // nil: slog.Default()
}

// Sweeper removes from one directory the evidence of erased customers, and what a
// process that died never referred to. Its first pass looks at all that is noted, so it
// makes up for the time in which it did not run, and for an erasing process that died.
// One goroutine uses it; any number of sweepers may share a directory.
type Sweeper struct {
	SweeperConfig
	since   time.Time       // what was noted before was looked at; zero: nothing was
	looked  map[Erased]bool // of what was noted since
	failing seldom.Line
}

// NewSweeper builds a sweeper; nothing runs before Run or Pass.
func NewSweeper(c SweeperConfig) *Sweeper {
	c.Interval = cmp.Or(c.Interval, 2*time.Minute)
	c.Log = cmp.Or(c.Log, slog.Default())
	return &Sweeper{SweeperConfig: c}
}

// Run repeats passes until ctx ends, with jitter.
func (s *Sweeper) Run(ctx context.Context) error {
	for {
		removed, err := s.Pass(ctx)
		if removed > 0 {
			s.Log.InfoContext(ctx, "evidence removed that nobody refers to", "count", removed)
		}
		if err != nil && ctx.Err() == nil {
			if unsaid, now := s.failing.Say(); now {
				s.Log.WarnContext(ctx, "evidence that nobody refers to not removed, will try again", "error", err.Error(), "unsaid", unsaid)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.Interval - time.Duration(rand.Int64N(int64(s.Interval/5)+1))):
		}
	}
}

// Pass removes what nobody refers to of what was noted since the last good pass and of
// what was not confirmed in time, and counts it.
func (s *Sweeper) Pass(ctx context.Context) (removed int, err error) {
	if !s.Dir.exists() {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	now, err := s.Erasures.Now(ctx)
	if err != nil {
		return 0, err
	}
	since := now.Add(-overlap)
	names, recent, err := s.noted(ctx, since)
	if err != nil {
		return 0, err
	}
	late := time.Now().Add(-confirming)
	stray, err := s.Dir.unconfirmed(late)
	if err != nil {
		return 0, err
	}
	if removed, err = s.Dir.Clear(ctx, append(names, stray...), s.Erasures); err != nil {
		return removed, err
	}
	s.since, s.looked = since, recent
	return removed, s.Dir.settle(stray, late)
}

// noted lists the blobs that no good pass has looked at, and those entries that the next
// pass will read once more.
func (s *Sweeper) noted(ctx context.Context, since time.Time) (names []string, recent map[Erased]bool, err error) {
	recent = map[Erased]bool{}
	for last := (Erased{At: s.since}); ; {
		erased, err := s.Erasures.ErasedEvidence(ctx, last, page)
		if err != nil {
			return nil, nil, err
		}
		for _, e := range erased {
			if !e.At.Before(since) {
				recent[e] = true
			}
			if !s.looked[e] {
				names = append(names, e.SHA256)
			}
		}
		if len(erased) < page {
			return names, recent, nil
		}
		last = erased[len(erased)-1]
	}
}
