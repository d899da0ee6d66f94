package evidence_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/directorybolt/directorybolt/internal/evidence"
)

func TestPutNamesTheBlobByItsHashAndOpenReturnsTheSameBytes(t *testing.T) {
	d := evidence.NewDir(filepath.Join(t.TempDir(), "evidence"))
	for _, data := range [][]byte{nil, []byte("thank you"), bytes.Repeat([]byte{0, 255}, 1<<20)} {
		name, size := put(t, d, data)
		sum := sha256.Sum256(data)
		if want := hex.EncodeToString(sum[:]); name != want {
			t.Errorf("name %s, want %s", name, want)
		}
		if size != int64(len(data)) {
			t.Errorf("size %d, want %d", size, len(data))
		}
		if got := read(t, d, name); !bytes.Equal(got, data) {
			t.Errorf("%d bytes came back, want the %d that went in", len(got), len(data))
		}
	}
}

func TestPutFansOutOverTwoLevels(t *testing.T) {
	root := t.TempDir()
	name, _ := put(t, evidence.NewDir(root), []byte("a page"))
	if _, err := os.Stat(filepath.Join(root, name[:2], name[2:4], name)); err != nil {
		t.Fatal(err)
	}
}

func TestTheSameBlobFromManyIsKeptOnceAndLeavesNoDebris(t *testing.T) {
	root := t.TempDir()
	d := evidence.NewDir(root)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, _, err := d.Put(context.Background(), "text/html", []byte("one page")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := blobs(t, root); len(got) != 1 {
		t.Errorf("blobs %q, want one", got)
	}
	name, _ := put(t, d, []byte("one page"))
	confirm(t, d, name, []byte("one page"))
	if got := files(t, root); len(got) != 1 {
		t.Errorf("files %q, want one", got)
	}
}

func TestPutReplacesWhatAPowerCutLeftShort(t *testing.T) {
	root := t.TempDir()
	d := evidence.NewDir(root)
	name, _ := put(t, d, []byte("the whole page"))
	if err := os.Truncate(filepath.Join(root, name[:2], name[2:4], name), 3); err != nil {
		t.Fatal(err)
	}
	put(t, d, []byte("the whole page"))
	if got := string(read(t, d, name)); got != "the whole page" {
		t.Errorf("got %q", got)
	}
}

func TestPutThatFailsLeavesNothingUnderTheName(t *testing.T) {
	root := t.TempDir()
	blocked := filepath.Join(root, "evidence")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := evidence.NewDir(blocked)
	name, _, err := d.Put(context.Background(), "text/html", []byte("page"))
	if err == nil || name != "" {
		t.Fatalf("Put into a file answered %q, %v; want an error and no name", name, err)
	}
	if got := files(t, root); len(got) != 1 {
		t.Errorf("files %q, want only the one in the way", got)
	}
}

func TestOpenRefusesEverythingThatIsNotAHash(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := evidence.NewDir(filepath.Join(root, "evidence"))
	for _, name := range []string{
		"", "ab", "../secret", strings.Repeat("g", 64), strings.Repeat("A", 64), strings.Repeat("a", 65),
		"../../" + strings.Repeat("a", 58), strings.Repeat("a", 64),
	} {
		if _, err := d.Open(context.Background(), name); !errors.Is(err, evidence.ErrNotFound) {
			t.Errorf("Open(%q) = %v, want ErrNotFound", name, err)
		}
	}
}

func put(t *testing.T, s evidence.Store, data []byte) (string, int64) {
	t.Helper()
	name, size, err := s.Put(context.Background(), "text/html", data)
	if err != nil {
		t.Fatal(err)
	}
	return name, size
}

func confirm(t *testing.T, s evidence.Store, name string, data []byte) {
	t.Helper()
	if err := s.Confirm(context.Background(), name, data); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s evidence.Store, name string) []byte {
	t.Helper()
	r, err := s.Open(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// blobs are the files that are no marks.
func blobs(t *testing.T, root string) []string {
	t.Helper()
	return slices.DeleteFunc(files(t, root), func(path string) bool { return strings.Contains(path, marks) })
}

const marks = ".unconfirmed"

func files(t *testing.T, root string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
