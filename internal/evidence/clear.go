package evidence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// References knows which blobs outcomes refer to.
type References interface {
	// HeldEvidence answers those of the blobs that an outcome refers to.
	HeldEvidence(ctx context.Context, names []string) ([]string, error)
}

// Clear removes those of the named blobs that are here and that nobody refers to, and
// counts them. What is no name is passed over; what cannot be removed now, which the
// error tells, is left for another time.
//
// The same bytes may be kept again at this moment, here or by another process, for an
// outcome that is about to be committed. So a blob is set aside before the question that
// decides about it. An outcome that was committed before the question is in its answer;
// one that is committed later is followed by [Dir.Confirm], which finds the blob gone.
func (d *Dir) Clear(ctx context.Context, names []string, r References) (removed int, err error) {
	here, fault := d.here(names)
	free, err := unheld(ctx, here, r)
	if err != nil {
		return 0, errors.Join(fault, err)
	}
	aside, parked := map[string]string{}, []string{}
	for _, name := range free {
		switch place, err := d.setAside(name); {
		case err != nil:
			fault = errors.Join(fault, err)
		case place != "":
			aside[name], parked = place, append(parked, name)
		}
	}
	free, err = unheld(ctx, parked, r)
	fault = errors.Join(fault, err)
	for _, name := range free {
		if err := remove(aside[name]); err != nil {
			fault = errors.Join(fault, fmt.Errorf("remove evidence %s: %w", name, err))
			continue
		}
		delete(aside, name)
		removed++
	}
	for name, place := range aside {
		fault = errors.Join(fault, d.putBack(name, place))
	}
	return removed, fault
}

// unheld are those of the blobs that nobody refers to.
func unheld(ctx context.Context, names []string, r References) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	held, err := r.HeldEvidence(ctx, names)
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(held))
	for _, name := range held {
		known[name] = true
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return known[name] }), nil
}

// here are those of the blobs that this directory has, each once. What a process that
// died had set aside is in its place again.
func (d *Dir) here(names []string) (here []string, fault error) {
	looked := map[string]bool{}
	for _, name := range names {
		if !isName(name) || looked[name] {
			continue
		}
		looked[name] = true
		dir := filepath.Dir(d.path(name))
		found, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			fault = errors.Join(fault, fmt.Errorf("look for evidence %s: %w", name, err))
		}
		for _, f := range found {
			if strings.HasPrefix(f.Name(), asidePrefix(name)) {
				fault = errors.Join(fault, d.putBack(name, filepath.Join(dir, f.Name())))
			}
		}
		if _, err := os.Stat(d.path(name)); err == nil {
			here = append(here, name)
		}
	}
	return here, fault
}

// asidePrefix begins the names under which a blob is set aside: each time another, so
// that nobody removes what somebody else set aside.
func asidePrefix(name string) string { return ".gone-" + name + "-" }

// setAside takes a blob from its name and answers where it is. Nothing is answered when
// another process was faster.
func (d *Dir) setAside(name string) (place string, err error) {
	path := d.path(name)
	place = filepath.Join(filepath.Dir(path), fmt.Sprintf("%s%016x", asidePrefix(name), rand.Uint64()))
	switch err := os.Rename(path, place); {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("set evidence %s aside: %w", name, err)
	}
	return place, nil
}

// putBack gives a blob its name again. Another process may have done so, or may have
// kept the same bytes anew.
func (d *Dir) putBack(name, place string) error {
	path := d.path(name)
	if _, err := os.Stat(path); err == nil {
		return remove(place)
	}
	if err := os.Rename(place, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("put evidence %s back: %w", name, err)
	}
	return nil
}

// remove removes a file for good; that there is none is no error.
func remove(path string) error {
	switch err := os.Remove(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return syncDir(filepath.Dir(path))
}
