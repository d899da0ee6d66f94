package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A mark is an empty file that is named like a blob. It is there from before the blob is
// until an outcome is known to refer to it. Of two who keep the same bytes the first that
// is confirmed removes the mark: from then on a row names the blob.

func (d *Dir) marks() string { return filepath.Join(d.root, ".unconfirmed") }

func (d *Dir) mark(name string) error {
	if err := os.MkdirAll(d.marks(), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.marks(), name), nil, 0o600)
}

func (d *Dir) unmark(name string) error {
	if err := os.Remove(filepath.Join(d.marks(), name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unmark evidence %s: %w", name, err)
	}
	return nil
}

// unconfirmed lists the blobs that were marked before a moment.
func (d *Dir) unconfirmed(before time.Time) (names []string, err error) {
	marks, err := os.ReadDir(d.marks())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for unconfirmed evidence: %w", err)
	}
	for _, m := range marks {
		if isName(m.Name()) && d.markedBefore(m.Name(), before) {
			names = append(names, m.Name())
		}
	}
	return names, nil
}

// settle unmarks what was looked at, unless somebody has marked it again.
func (d *Dir) settle(names []string, before time.Time) (fault error) {
	for _, name := range names {
		if d.markedBefore(name, before) {
			fault = errors.Join(fault, d.unmark(name))
		}
	}
	return fault
}

func (d *Dir) markedBefore(name string, moment time.Time) bool {
	info, err := os.Stat(filepath.Join(d.marks(), name))
	return err == nil && info.ModTime().Before(moment)
}
