package api

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/seldom"
)

const (
	// feedPoll is the time between two looks for events when nothing wakes the feed;
	// feedPause the least between two.
	feedPoll  = time.Second
	feedPause = 200 * time.Millisecond
	// feedBatch is how many events are read at once.
	feedBatch = 1000
	// feedOverlap is how long after the moment it tells an event may be committed and
	// still be found.
	feedOverlap = 5 * time.Second
	// feedBuffer is how many events may wait for one reader; who is slower is dropped,
	// and comes back where it was.
	feedBuffer = 1000
)

// feedStore is what the feed reads.
type feedStore interface {
	job.Reader
	job.Waker
}

// feed reads the events of all processes from the store, once for all readers of this
// process, as long as there are any.
type feed struct {
	store feedStore
	log   *slog.Logger

	mu      sync.Mutex
	readers map[*reader]bool
	running bool
	begun   chan struct{} // closed when it reads what is to come
	failing seldom.Line
}

// reader receives events that whoever asked may know of.
type reader struct {
	who     auth.Identity
	events  chan job.Event
	dropped chan struct{} // closed when it was too slow
}

// sees reports whether an event is for the reader: staff sees all; customers what
// happens to their orders, not what happens in the house.
func (r *reader) sees(e job.Event) bool {
	if r.who.SeesAll() {
		return true
	}
	return r.who.Sees(e.CustomerID) && slices.ContainsFunc(openEvents, func(p string) bool { return strings.HasPrefix(e.Type, p) })
}

// openEvents are the types that customers see, by their beginnings.
var openEvents = []string{"order.", "job.", "submission.", job.EventShortfall}

// join adds a reader, and returns when it hears whatever is committed from then on;
// leave takes it out.
func (f *feed) join(ctx context.Context, who auth.Identity) (*reader, error) {
	r := &reader{who: who, events: make(chan job.Event, feedBuffer), dropped: make(chan struct{})}
	begun := f.add(r)
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	select {
	case <-begun:
		return r, nil
	case <-ctx.Done():
		f.leave(r)
		return nil, ctx.Err()
	}
}

func (f *feed) add(r *reader) (begun <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers == nil {
		f.readers = map[*reader]bool{}
	}
	f.readers[r] = true
	if !f.running {
		f.running, f.begun = true, make(chan struct{})
		go f.run(f.begun)
	}
	return f.begun
}

func (f *feed) leave(r *reader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.readers, r)
}

// deserted ends the feed when nobody reads any more.
func (f *feed) deserted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running = len(f.readers) > 0
	return !f.running
}

// give hands an event to those who may see it.
func (f *feed) give(e job.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for r := range f.readers {
		if !r.sees(e) {
			continue
		}
		select {
		case r.events <- e:
		default:
			close(r.dropped)
			delete(f.readers, r)
		}
	}
}

// run reads until nobody reads.
func (f *feed) run(begun chan struct{}) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	wake := f.store.Wake(ctx)
	poll := time.NewTicker(feedPoll)
	defer poll.Stop()
	t := &tail{store: f.store}
	for !f.deserted() {
		reading, cancel := context.WithTimeout(ctx, storeTimeout)
		err := t.read(reading, f.give)
		cancel()
		if err != nil {
			if unsaid, now := f.failing.Say(); now {
				f.log.WarnContext(ctx, "events not read, will try again", "error", err.Error(), "unsaid", unsaid)
			}
		} else if begun != nil {
			close(begun)
			begun = nil
		}
		pause(ctx, feedPause)
		select {
		case <-wake:
		case <-poll.C:
		}
	}
}

// tail reads events as they are committed, each once.
type tail struct {
	store feedStore
	at    time.Time            // of the latest event seen; zero: it has not begun
	seen  map[job.ID]time.Time // those that the next look finds again
}

// read gives the events that were committed since the last time. A new tail begins
// with what is to come.
func (t *tail) read(ctx context.Context, give func(job.Event)) error {
	if t.at.IsZero() {
		now, err := t.store.Now(ctx)
		if err != nil {
			return err
		}
		t.at, t.seen = now, map[job.ID]time.Time{}
		// What was committed before is no news.
		err = t.each(ctx, func(e job.Event) { t.seen[e.ID] = e.At })
		if err != nil {
			t.at = time.Time{} // not begun: what it did not see would be told as news
		}
		return err
	}
	return t.each(ctx, func(e job.Event) {
		if _, known := t.seen[e.ID]; known {
			return
		}
		t.seen[e.ID] = e.At
		if e.At.After(t.at) {
			t.at = e.At
		}
		give(e)
	})
}

// each looks at the events from a little before the latest on.
func (t *tail) each(ctx context.Context, look func(job.Event)) error {
	from := t.at.Add(-feedOverlap)
	for id, at := range t.seen {
		if at.Before(from) {
			delete(t.seen, id)
		}
	}
	f := job.EventFilter{From: from, Limit: feedBatch}
	for {
		events, err := t.store.Events(ctx, f)
		if err != nil {
			return err
		}
		for _, e := range events {
			look(e)
		}
		if len(events) < feedBatch {
			return nil
		}
		last := events[len(events)-1]
		f.From, f.After = last.At, last.ID
	}
}
