package evidence_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/directorybolt/directorybolt/internal/evidence"
)

// book is a store's side of erasures.
type book struct {
	references
	mu     sync.Mutex
	erased []evidence.Erased
	reads  int
	down   error
}

func (b *book) Now(context.Context) (time.Time, error) { return time.Now(), b.down }

func (b *book) ErasedEvidence(_ context.Context, after evidence.Erased, limit int) ([]evidence.Erased, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads++
	behind := slices.DeleteFunc(slices.Clone(b.erased), func(e evidence.Erased) bool {
		return e.At.Before(after.At) || e.At.Equal(after.At) && e.SHA256 <= after.SHA256
	})
	return behind[:min(limit, len(behind))], b.down
}

// note records an erasure that began a while ago and is committed now.
func (b *book) note(ago time.Duration, names ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range names {
		b.erased = append(b.erased, evidence.Erased{At: time.Now().Add(-ago), SHA256: name})
	}
	slices.SortFunc(b.erased, func(x, y evidence.Erased) int {
		if n := x.At.Compare(y.At); n != 0 {
			return n
		}
		return strings.Compare(x.SHA256, y.SHA256)
	})
}

func passOf(t *testing.T, s *evidence.Sweeper, want int) {
	t.Helper()
	if n, err := s.Pass(t.Context()); err != nil || n != want {
		t.Errorf("%d removed, error %v; want %d", n, err, want)
	}
}

func TestASweeperBeginsWithAllThatIsNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := evidence.NewDir(t.TempDir()), &book{}
		var names []string
		for i := range 5 {
			name, _ := put(t, d, []byte{byte(i)})
			names = append(names, name)
		}
		for range 2500 { // of other machines, over many reads
			time.Sleep(time.Hour)
			b.note(0, strings.Repeat("0", 64))
		}
		b.note(90*24*time.Hour, names[:3]...)
		b.note(time.Minute, names[3])
		passOf(t, evidence.NewSweeper(evidence.SweeperConfig{Dir: d, Erasures: b}), 4)
		read(t, d, names[4])
	})
}

func TestASweeperFindsWhatIsCommittedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := evidence.NewDir(t.TempDir()), &book{}
		late, _ := put(t, d, []byte("late"))
		shared, _ := put(t, d, []byte("shared"))
		b.held = []string{shared}
		b.note(0, shared)
		s := evidence.NewSweeper(evidence.SweeperConfig{Dir: d, Erasures: b})
		passOf(t, s, 0)
		time.Sleep(10 * time.Minute)
		b.note(20*time.Minute, late)
		b.asked = func(names []string) {
			if slices.Contains(names, shared) {
				t.Error("asked once more about what was looked at")
			}
		}
		passOf(t, s, 1)
		passOf(t, s, 0)

		// The last who refers to it is erased too.
		b.held, b.asked = nil, nil
		b.note(0, shared)
		passOf(t, s, 1)
	})
}

func TestASweeperTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, b := evidence.NewDir(t.TempDir()), &book{}
		name, _ := put(t, d, []byte("Thank you, Ann"))
		b.note(0, name)
		s := evidence.NewSweeper(evidence.SweeperConfig{Dir: d, Erasures: b})
		away := errors.New("the store is away")
		for _, fail := range []*error{&b.down, &b.err} {
			*fail = away
			if n, err := s.Pass(t.Context()); n != 0 || !errors.Is(err, away) {
				t.Errorf("%d removed, error %v", n, err)
			}
			*fail = nil
			time.Sleep(2 * time.Hour)
		}
		passOf(t, s, 1)
	})
}

func TestASweeperOfADirectoryThatIsNotThereAsksNothing(t *testing.T) {
	b := &book{}
	b.note(0, strings.Repeat("0", 64))
	passOf(t, evidence.NewSweeper(evidence.SweeperConfig{Dir: evidence.NewDir(t.TempDir() + "/none"), Erasures: b}), 0)
	if b.reads != 0 {
		t.Errorf("%d reads, want none", b.reads)
	}
}

// Two machines on one store: each removes its own, the one that was off when it is back.
func TestSweepersOfAllMachinesRemoveWithinMinutesAndSaySo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		var said bytes.Buffer
		log := slog.New(slog.NewTextHandler(&said, nil))
		dirs := []*evidence.Dir{evidence.NewDir(t.TempDir()), evidence.NewDir(t.TempDir())}
		var name string
		for _, d := range dirs {
			name, _ = put(t, d, []byte("Thank you, Ann"))
		}
		ctx, stop := context.WithCancel(t.Context())
		run := func(d *evidence.Dir) {
			s := evidence.NewSweeper(evidence.SweeperConfig{Dir: d, Erasures: b, Log: log})
			if err := s.Run(ctx); err != nil {
				t.Error(err)
			}
		}
		go run(dirs[0])
		time.Sleep(time.Hour)
		b.note(0, name) // and whoever erased removes nothing
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		isGone(t, dirs[0], name)
		read(t, dirs[1], name)
		time.Sleep(30 * 24 * time.Hour)
		go run(dirs[1])
		synctest.Wait()
		isGone(t, dirs[1], name)
		stop()
		synctest.Wait()
		if got := strings.Count(said.String(), `msg="evidence removed that nobody refers to" count=1`); got != 2 {
			t.Errorf("said:\n%s\nwant two lines, one for each machine", said.String())
		}
	})
}
