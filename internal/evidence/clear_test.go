package evidence_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/evidence"
)

// references are blobs that outcomes refer to; asked is called before each answer,
// answered after it was looked up and before it is heard.
type references struct {
	held     []string
	asked    func(names []string)
	answered func()
	err      error
}

func (r *references) HeldEvidence(_ context.Context, names []string) ([]string, error) {
	if r.asked != nil {
		r.asked(names)
	}
	held := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(r.held, name) })
	if r.answered != nil {
		r.answered()
	}
	return held, r.err
}

func clearOf(t *testing.T, d *evidence.Dir, r evidence.References, names ...string) int {
	t.Helper()
	n, err := d.Clear(context.Background(), names, r)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func isGone(t *testing.T, d *evidence.Dir, name string) {
	t.Helper()
	if _, err := d.Open(context.Background(), name); !errors.Is(err, evidence.ErrNotFound) {
		t.Errorf("%s is still there (error %v)", name, err)
	}
}

func TestClearRemovesWhatNobodyRefersTo(t *testing.T) {
	root := t.TempDir()
	d := evidence.NewDir(root)
	gone, _ := put(t, d, []byte("Thank you, Ann"))
	held, _ := put(t, d, []byte("Thank you"))
	other, _ := put(t, d, []byte("not asked about"))
	elsewhere := strings.Repeat("a", 64)
	r := &references{held: []string{held}}
	if n := clearOf(t, d, r, gone, held, gone, elsewhere, "../../etc/passwd", ""); n != 1 {
		t.Errorf("%d blobs removed, want 1", n)
	}
	isGone(t, d, gone)
	if got := string(read(t, d, held)) + string(read(t, d, other)); got != "Thank younot asked about" {
		t.Errorf("left is %q", got)
	}
	if got := blobs(t, root); len(got) != 2 {
		t.Errorf("blobs %q, want the two that stay", got)
	}
	r.asked = func(names []string) { t.Errorf("asked about %q, which are not here", names) }
	if n := clearOf(t, d, r, gone, elsewhere); n != 0 {
		t.Errorf("%d blobs removed of none", n)
	}
	if n := clearOf(t, evidence.NewDir(filepath.Join(root, "never", "made")), r, held); n != 0 {
		t.Errorf("%d blobs removed from no directory", n)
	}
}

func TestClearLeavesEverythingWhenNobodyAnswers(t *testing.T) {
	d := evidence.NewDir(t.TempDir())
	name, _ := put(t, d, []byte("Thank you, Ann"))
	away := errors.New("the store is away")
	for _, answers := range []int{0, 1} { // before it fails
		r := &references{}
		r.asked = func([]string) {
			if answers--; answers < 0 {
				r.err = away
			}
		}
		if n, err := d.Clear(context.Background(), []string{name}, r); n != 0 || !errors.Is(err, away) {
			t.Errorf("%d removed, error %v; want none, and the store's error", n, err)
		}
		read(t, d, name)
	}
}

func TestClearGoesOnWithTheRestAfterAFault(t *testing.T) {
	root := t.TempDir()
	d := evidence.NewDir(root)
	bad := strings.Repeat("b", 64)
	if err := os.MkdirAll(filepath.Join(root, "bb"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "bb", "bb"), nil, 0o600); err != nil { // where a directory should be
		t.Fatal(err)
	}
	name, _ := put(t, d, []byte("Thank you, Ann"))
	n, err := d.Clear(context.Background(), []string{bad, name}, &references{})
	if n != 1 || err == nil || !strings.Contains(err.Error(), bad) {
		t.Errorf("%d removed, error %v; want one, and an error that names the other", n, err)
	}
	isGone(t, d, name)
}

// An outcome whose blob was put before a clearing keeps it, whenever in the clearing it is
// committed and confirmed: in one of the moments before and after each answer, or after all.
func TestWhatIsReferredToMeanwhileStays(t *testing.T) {
	page := []byte("Thank you")
	for commit := range 5 {
		for confirm := commit; confirm < 5; confirm++ {
			d := evidence.NewDir(t.TempDir())
			name, _ := put(t, d, page)
			r, moment := &references{}, 0
			next := func() {
				if moment == commit {
					r.held = []string{name}
				}
				if moment == confirm {
					if err := d.Confirm(context.Background(), name, page); err != nil {
						t.Error(err)
					}
				}
				moment++
			}
			r.asked, r.answered = func([]string) { next() }, next
			clearOf(t, d, r, name)
			for moment < 5 {
				next()
			}
			if got := string(read(t, d, name)); got != string(page) {
				t.Errorf("committed in moment %d, confirmed in %d: the blob is %q", commit, confirm, got)
			}
		}
	}
}

// Two processes clear one directory. The first knows of no reference; what it removes is
// what it set aside, and not the blob that was kept again, which the second set aside and
// learns that it must put back.
func TestClearRemovesOnlyWhatItSetAsideItself(t *testing.T) {
	root, page := t.TempDir(), []byte("Thank you")
	d := evidence.NewDir(root)
	name, _ := put(t, d, page)
	setAside, answer, ended := make(chan bool), make(chan bool), make(chan bool)
	second := &references{}
	second.asked = func([]string) {
		second.asked = func([]string) {
			close(setAside)
			<-answer
			second.held = []string{name}
		}
	}
	first := &references{}
	first.answered = func() {
		first.answered = func() {
			isGone(t, d, name)
			if err := d.Confirm(context.Background(), name, page); err != nil {
				t.Error(err)
			}
			go func() {
				defer close(ended)
				_, _ = d.Clear(context.Background(), []string{name}, second)
			}()
			<-setAside
		}
	}
	clearOf(t, d, first, name)
	close(answer)
	<-ended
	if got := string(read(t, d, name)); got != string(page) {
		t.Errorf("the blob is %q", got)
	}
	if got := blobs(t, root); len(got) != 1 {
		t.Errorf("blobs %q, want one", got)
	}
}

// What a process that died had set aside is removed by the next, or put back.
func TestClearTakesUpWhatADeadProcessSetAside(t *testing.T) {
	root := t.TempDir()
	d := evidence.NewDir(root)
	gone, _ := put(t, d, []byte("Thank you, Ann"))
	held, _ := put(t, d, []byte("Thank you"))
	func() {
		defer func() { _ = recover() }()
		answers := 0
		_, _ = d.Clear(context.Background(), []string{gone, held}, &references{asked: func([]string) {
			if answers++; answers == 2 {
				panic("killed")
			}
		}})
	}()
	isGone(t, d, gone)
	isGone(t, d, held)
	if n := clearOf(t, d, &references{held: []string{held}}, gone, held); n != 1 {
		t.Errorf("%d removed, want 1", n)
	}
	read(t, d, held)
	if got := blobs(t, root); len(got) != 1 {
		t.Errorf("blobs %q, want one", got)
	}
}

func TestConfirmRefusesWhatIsNoName(t *testing.T) {
	d := evidence.NewDir(filepath.Join(t.TempDir(), "evidence"))
	for _, name := range []string{"", "../../etc/passwd"} {
		if err := d.Confirm(context.Background(), name, nil); err == nil {
			t.Errorf("%q was confirmed", name)
		}
	}
}
