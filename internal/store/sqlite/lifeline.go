package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/seldom"
	"github.com/google/uuid"
)

const (
	// lifelineLook is the time between two looks at the lifelines: a few system calls
	// for each worker of this host.
	lifelineLook = 100 * time.Millisecond
	// unheldAfter is how old a file is that nobody will ever lock: its process died
	// between making it and locking it.
	unheldAfter = time.Minute
)

// lifelineDir has a file for each worker, locked as long as its process lives. What
// is in it counts once the file has content, which it gets when it is locked.
func (s *Store) lifelineDir() string { return s.path + "-workers" }

// lifeline is a locked file. The system unlocks it when the process ends, and only
// then, so that it is never cut.
type lifeline struct {
	release func()
}

// Cut implements [job.Lifeline].
func (lifeline) Cut() <-chan struct{} { return nil }

// Release implements [job.Lifeline].
func (l lifeline) Release() { l.release() }

// Lifeline implements [job.Lifelines].
func (s *Store) Lifeline(_ context.Context, worker job.ID) (job.Lifeline, error) {
	f, err := s.holdLifeline(worker)
	if err != nil {
		return nil, fmt.Errorf("hold the lifeline of worker %s: %w", worker, err)
	}
	return lifeline{release: sync.OnceFunc(func() { _ = f.Close() })}, nil
}

func (s *Store) holdLifeline(worker job.ID) (*os.File, error) {
	if err := makeDirectory(s.lifelineDir()); err != nil {
		return nil, err
	}
	f, err := openLock(filepath.Join(s.lifelineDir(), worker.String()))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(tryLock(f), writePID(f)); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// WatchLifelines implements [job.Lifelines].
func (s *Store) WatchLifelines(ctx context.Context, tell func(job.Worker)) error {
	var failing seldom.Line
	tick := time.NewTicker(lifelineLook)
	defer tick.Stop()
	for {
		if err := s.lookAtLifelines(ctx, tell); err != nil && ctx.Err() == nil {
			if unsaid, now := failing.Say(); now {
				s.log.WarnContext(ctx, "lifelines not looked at, will try again", "error", err.Error(), "unsaid", unsaid)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *Store) lookAtLifelines(ctx context.Context, tell func(job.Worker)) error {
	files, err := os.ReadDir(s.lifelineDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	faults := []error{err}
	for _, file := range files {
		if worker, err := uuid.Parse(file.Name()); err == nil {
			faults = append(faults, s.lookAtLifeline(ctx, worker, tell))
		}
	}
	return errors.Join(faults...)
}

// lookAtLifeline retires the worker if its file is not locked any more.
func (s *Store) lookAtLifeline(ctx context.Context, worker job.ID, tell func(job.Worker)) error {
	path := filepath.Join(s.lifelineDir(), worker.String())
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another watch was here
	}
	if err != nil {
		return err
	}
	free, err := letGo(f)
	if free && err == nil {
		err = s.retireDead(ctx, worker, tell)
	}
	_ = f.Close() // before the file is removed, which some systems demand
	if !free || err != nil {
		return err // a file that stays is for the next look
	}
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// letGo reports whether whoever made the file holds it no more; then we do.
func letGo(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if info.Size() == 0 && time.Since(info.ModTime()) < unheldAfter {
		return false, nil // about to be locked
	}
	err = tryLock(f)
	if errors.Is(err, errLocked) {
		return false, nil
	}
	return err == nil, err
}

// retireDead retires a worker whose file we have locked. One that left in order is retired
// already.
func (s *Store) retireDead(ctx context.Context, worker job.ID, tell func(job.Worker)) error {
	dead, err := s.retire(ctx, worker, job.RetiredLockLost, job.By{})
	switch {
	case err == nil:
		tell(dead)
	case errors.Is(err, job.ErrState), errors.Is(err, job.ErrNotFound):
		return nil
	}
	return err
}
