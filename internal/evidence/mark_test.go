package evidence_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/evidence"
)

// wait makes marks as old as if so much time had passed.
func wait(t *testing.T, root string, d time.Duration) {
	t.Helper()
	for _, mark := range files(t, filepath.Join(root, marks)) {
		then := time.Now().Add(-d)
		if err := os.Chtimes(mark, then, then); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatNobodyConfirmsIsRemovedAfterAWhile(t *testing.T) {
	root, b := t.TempDir(), &book{}
	d := evidence.NewDir(root)
	never, _ := put(t, d, []byte("Thank you, Ann")) // its process was killed before the commit
	unsaid, _ := put(t, d, []byte("Thank you, Bob"))
	b.held = []string{unsaid} // and its own after it
	said, _ := put(t, d, []byte("Thank you, Cleo"))
	confirm(t, d, said, []byte("Thank you, Cleo"))
	b.asked = func(names []string) {
		if slices.Contains(names, said) {
			t.Error("asked about what was confirmed")
		}
	}
	s := evidence.NewSweeper(evidence.SweeperConfig{Dir: d, Erasures: b})
	passOf(t, s, 0)
	read(t, d, never)
	wait(t, root, 11*time.Minute)
	passOf(t, s, 1)
	isGone(t, d, never)
	read(t, d, unsaid)
	read(t, d, said)
	if got := files(t, root); len(got) != 2 {
		t.Errorf("files %q, want two blobs and no mark", got)
	}
	b.asked = func(names []string) { t.Errorf("asked once more, about %q", names) }
	passOf(t, s, 0)
}

func TestAMarkStaysUntilTheStoreHasAnswered(t *testing.T) {
	root, b := t.TempDir(), &book{}
	d := evidence.NewDir(root)
	name, _ := put(t, d, []byte("Thank you, Ann"))
	wait(t, root, time.Hour)
	s := evidence.NewSweeper(evidence.SweeperConfig{Dir: d, Erasures: b})
	b.err = errors.New("the store is away")
	if n, err := s.Pass(t.Context()); n != 0 || !errors.Is(err, b.err) {
		t.Errorf("%d removed, error %v", n, err)
	}
	read(t, d, name)
	b.err = nil
	passOf(t, s, 1)
	isGone(t, d, name)
}

// Who keeps the same bytes during a pass has a mark of its own time.
func TestAMarkThatIsMadeAnewStays(t *testing.T) {
	root, b, page := t.TempDir(), &book{}, []byte("Thank you")
	d := evidence.NewDir(root)
	name, _ := put(t, d, page)
	wait(t, root, time.Hour)
	b.asked = func([]string) {
		if _, _, err := d.Put(context.Background(), "text/html", page); err != nil {
			t.Error(err)
		}
	}
	s := evidence.NewSweeper(evidence.SweeperConfig{Dir: d, Erasures: b})
	passOf(t, s, 1) // of what was there before
	read(t, d, name)
	if got := files(t, filepath.Join(root, marks)); len(got) != 1 {
		t.Errorf("marks %q, want one", got)
	}
	b.asked = nil
	wait(t, root, time.Hour)
	passOf(t, s, 1)
	isGone(t, d, name)
}
