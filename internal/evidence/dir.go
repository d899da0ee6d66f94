package evidence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Dir is a [Store] in a directory of the file system: ab/cd/abcd….
type Dir struct {
	root string
}

var _ Store = (*Dir)(nil)

// NewDir returns the store in root. The directory is made with the first blob.
func NewDir(root string) *Dir { return &Dir{root: root} }

// Put implements [Store]. The blob is written beside its place, synced, and
// renamed; then the directories that name it are synced. It is marked before all that:
// whoever puts it may die before somebody refers to it.
func (d *Dir) Put(ctx context.Context, _ string, data []byte) (string, int64, error) {
	if err := ctx.Err(); err != nil {
		return "", 0, fmt.Errorf("keep evidence: %w", err)
	}
	sum := sha256.Sum256(data)
	name, size := hex.EncodeToString(sum[:]), int64(len(data))
	if err := d.mark(name); err != nil {
		return "", 0, fmt.Errorf("mark evidence %s: %w", name, err)
	}
	if err := d.keep(d.path(name), data); err != nil {
		return "", 0, fmt.Errorf("keep evidence %s: %w", name, err)
	}
	return name, size, nil
}

// Open implements [Store].
func (d *Dir) Open(_ context.Context, name string) (io.ReadCloser, error) {
	if !isName(name) {
		return nil, fmt.Errorf("open evidence %q: %w", name, ErrNotFound)
	}
	f, err := os.Open(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open evidence %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("open evidence %s: %w", name, err)
	}
	return f, nil
}

// Confirm implements [Store]. A blob that is there costs a look.
func (d *Dir) Confirm(_ context.Context, name string, data []byte) error {
	if !isName(name) {
		return fmt.Errorf("confirm evidence %q: %w", name, ErrNotFound)
	}
	if path := d.path(name); !whole(path, data) {
		if err := d.keep(path, data); err != nil {
			return fmt.Errorf("keep evidence %s again: %w", name, err)
		}
	}
	return d.unmark(name)
}

// exists reports whether anything was ever kept here.
func (d *Dir) exists() bool {
	_, err := os.Stat(d.root)
	return err == nil
}

// path fans out over two levels, so that no directory grows past what file
// systems list quickly.
func (d *Dir) path(name string) string { return filepath.Join(d.root, name[:2], name[2:4], name) }

// keep puts data at path unless it is there already. The directories are synced
// in both cases: who put it there may not have come that far.
func (d *Dir) keep(path string, data []byte) error {
	if !whole(path, data) {
		if err := write(path, data); err != nil {
			return err
		}
	}
	return d.syncUpFrom(filepath.Dir(path))
}

// whole reports whether data is at path; a power cut may have left it short.
func whole(path string, data []byte) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() == int64(len(data))
}

func write(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := writeTemp(dir, data)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}

// writeTemp writes data to a synced file of its own in dir. What it could not
// write whole it removes.
func writeTemp(dir string, data []byte) (path string, err error) {
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// syncUpFrom makes the names from dir up to the parent of the root durable; any
// of those directories may have been made a moment ago.
func (d *Dir) syncUpFrom(dir string) error {
	last := filepath.Dir(filepath.Clean(d.root))
	for {
		if err := syncDir(dir); err != nil {
			return err
		}
		if dir == last {
			return nil
		}
		dir = filepath.Dir(dir)
	}
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// isName reports whether name is a SHA-256 in lower-case hex; nothing else may
// become part of a path.
func isName(name string) bool {
	if len(name) != hex.EncodedLen(sha256.Size) {
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
