package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
)

const (
	// mostStreams is how many streams of events a process keeps open, mostStreamsOfKey
	// how many of them for one key.
	mostStreams      = 256
	mostStreamsOfKey = 16
	// streamWrite is how long a reader may take to read what was sent.
	streamWrite = 10 * time.Second
	// resumeFor is how far back a stream is taken up again.
	resumeFor = time.Hour
	// mostProgress is how many orders' progress a stream tells in a second.
	mostProgress = 50
	// mostResumed is how many events are told again.
	mostResumed = 10_000
)

// streamBeat is the time between two signs of life, and between two looks whether
// whoever reads still may. Shorter in tests.
var streamBeat = 15 * time.Second

// news is an event as its reader may know it.
type news struct {
	Type       string    `json:"type"`
	ID         job.ID    `json:"id"` // one that comes twice has the same
	At         time.Time `json:"at"`
	JobID      job.ID    `json:"job_id,omitzero"`
	OrderID    job.ID    `json:"order_id,omitzero"`
	CustomerID job.ID    `json:"customer_id,omitzero"`
	Directory  string    `json:"directory,omitempty"`
	From       string    `json:"from,omitempty"`
	To         string    `json:"to,omitempty"`
	Cause      string    `json:"cause,omitempty"`

	// For staff.
	WorkerID job.ID          `json:"worker_id,omitzero"`
	Fence    int64           `json:"fence,omitempty"`
	Actor    string          `json:"actor,omitempty"`
	Detail   json.RawMessage `json:"detail,omitempty"`
}

func (r *reader) news(e job.Event) news {
	n := news{
		Type: e.Type, ID: e.ID, At: e.At, JobID: e.JobID, OrderID: e.OrderID, CustomerID: e.CustomerID, Directory: e.Directory, From: e.From, To: e.To,
	}
	if strings.HasPrefix(e.Type, "submission.") {
		n.Cause = e.Cause
	}
	if r.who.SeesAll() {
		n.Cause, n.WorkerID, n.Fence, n.Actor, n.Detail = e.Cause, e.WorkerID, e.Fence, e.Actor, e.Detail
	}
	return n
}

// Types of news that are no events of the store.
const (
	newsReady    = "stream.ready"   // from here on nothing is missing
	newsReset    = "stream.reset"   // too much happened since: read the present state anew
	newsProgress = "order.progress" // how far an order is
)

// orderProgress follows events of an order.
type orderProgress struct {
	Type       string    `json:"type"`
	OrderID    job.ID    `json:"order_id"`
	CustomerID job.ID    `json:"customer_id,omitzero"`
	State      job.State `json:"state"`
	progressView
}

// streams bounds how many are open.
type streams struct {
	mu    sync.Mutex
	all   int
	ofKey map[string]int
}

// open takes a place. A key that has all of its own is told so like anybody who asks
// for too much; that there is none left in the process is ours to mend.
func (s *streams) open(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ofKey[key] >= mostStreamsOfKey:
		p := refuse(http.StatusTooManyRequests, codeRateLimited, "this key has %d streams open, as many as a key may; close one, or come again", mostStreamsOfKey)
		p.retryAfter = streamBeat
		return p
	case s.all >= mostStreams:
		return &problem{
			Status: http.StatusServiceUnavailable, Code: codeUnavailable, Detail: "all streams of this process are taken; come again",
			cause: fmt.Errorf("%d streams are open, as many as a process keeps", s.all), retryAfter: streamBeat,
		}
	}
	if s.ofKey == nil {
		s.ofKey = map[string]int{}
	}
	s.all++
	s.ofKey[key]++
	return nil
}

func (s *streams) close(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.ofKey[key]--; s.ofKey[key] == 0 {
		delete(s.ofKey, key)
	}
}

// eventsQuery is what a stream may be asked with.
type eventsQuery struct {
	LastEventID string `header:"Last-Event-ID"` // id of the last event heard: the stream is taken up behind it
	InURL       string `query:"last_event_id"`  // the same, for clients that cannot send the header
}

// streamMedia is the media type of server-sent events.
const streamMedia = "text/event-stream"

// streamEvents tells what happens as it happens (server-sent events).
func (s *server) streamEvents(w http.ResponseWriter, r *http.Request) error {
	if !acceptsStream(r) {
		return invalid("this is a stream: ask with Accept: %s", streamMedia)
	}
	from, resumes, err := lastEvent(r)
	if err != nil {
		return err
	}
	key := identityOf(r.Context()).KeyID
	if err := s.streams.open(key); err != nil {
		return err
	}
	defer s.streams.close(key)
	reader, err := s.feed.join(r.Context(), identityOf(r.Context()))
	if err != nil {
		return err
	}
	defer s.feed.leave(reader)
	st := &stream{
		server: s, reader: reader, w: w, control: http.NewResponseController(w), told: map[job.ID]bool{}, moved: map[job.ID]bool{},
	}
	if err := st.begin(r.Context(), from, resumes); err != nil {
		return st.failed(err)
	}
	return st.failed(st.follow(r))
}

// acceptsStream reports whether the client takes such a stream; who says nothing does.
func acceptsStream(r *http.Request) bool {
	lines := r.Header.Values("Accept")
	if len(lines) == 0 {
		return true
	}
	for accepted := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		kind, _, _ := mime.ParseMediaType(accepted)
		if kind == streamMedia || kind == "text/*" || kind == "*/*" {
			return true
		}
	}
	return false
}

// mark is an event's place in the stream, as its id says it.
func mark(at time.Time, id job.ID) string {
	return strconv.FormatInt(at.UnixMicro(), 10) + "-" + id.String()
}

// lastEvent is where the client's stream broke off.
func lastEvent(r *http.Request) (at time.Time, resumes bool, err error) {
	q := queryOf(r, "last_event_id")
	if err := q.err(); err != nil {
		return time.Time{}, false, err
	}
	text := cmp.Or(r.Header.Get("Last-Event-ID"), q.text("last_event_id"))
	if text == "" {
		return time.Time{}, false, nil
	}
	micros, id, _ := strings.Cut(text, "-")
	n, fault := strconv.ParseInt(micros, 10, 64)
	if _, bad := uuid.Parse(id); fault != nil || bad != nil || n < 0 {
		return time.Time{}, false, refuse(http.StatusBadRequest, codeInvalidCursor, "Last-Event-ID is not one of ours; begin again without it")
	}
	return time.UnixMicro(n).UTC(), true, nil
}

// stream is one client's.
type stream struct {
	*server
	reader  *reader
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
	told    map[job.ID]bool // events, again, at the beginning
	moved   map[job.ID]bool // orders whose progress is to be told
}

// errStreamOver: the client is gone, or shall come again.
var errStreamOver = errors.New("the stream is over")

// failed is what is left to answer: nothing, once the stream has begun.
func (st *stream) failed(err error) error {
	if st.begun {
		return nil
	}
	return err
}

// begin says from where on nothing is missing. A stream that is taken up again tells
// first what was missed: a little more than that, since what was committed late stands
// before what the client had.
func (st *stream) begin(ctx context.Context, from time.Time, resumes bool) error {
	now, err := st.Store.Now(ctx)
	if err != nil {
		return err
	}
	var missed []job.Event
	complete := true
	if resumes {
		if missed, complete, err = st.missed(ctx, from.Add(-feedOverlap), now); err != nil {
			return err
		}
	}
	_ = st.control.SetReadDeadline(time.Time{}) // the connection may know of none
	h := st.w.Header()
	h.Set("Content-Type", streamMedia)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy that gathers would hide it
	st.begun = true
	st.w.WriteHeader(http.StatusOK)
	first := news{Type: newsReady, At: now}
	if !complete {
		first.Type = newsReset
	}
	for _, e := range missed {
		st.told[e.ID] = true
		st.event(e)
	}
	st.message(mark(now, job.ID{}), first)
	return st.flush()
}

// missed lists what the client may not have heard. It is not complete when that is too
// much, or too long ago.
func (st *stream) missed(ctx context.Context, from, now time.Time) (list []job.Event, complete bool, err error) {
	if now.Sub(from) > resumeFor {
		return nil, false, nil
	}
	f := job.EventFilter{From: from, Limit: feedBatch}
	if !st.reader.who.SeesAll() {
		f.Customer = st.reader.who.CustomerID
	}
	for {
		events, err := st.Store.Events(ctx, f)
		if err != nil {
			return nil, false, err
		}
		for _, e := range events {
			if st.reader.sees(e) {
				list = append(list, e)
			}
		}
		switch {
		case len(list) > mostResumed:
			return nil, false, nil
		case len(events) < feedBatch:
			return list, true, nil
		}
		last := events[len(events)-1]
		f.From, f.After = last.At, last.ID
	}
}

// follow tells what happens until the client goes, is too slow, may not any more, or
// the process ends.
func (st *stream) follow(r *http.Request) error {
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case e := <-st.reader.events:
			if err := st.tell(e); err != nil {
				return err
			}
		case <-beat.C:
			if who, _, err := st.identify(r); err != nil || who != st.reader.who {
				return errStreamOver // the key or the session counts no more, or nobody can say
			}
			_, _ = st.w.Write([]byte(": still here\n\n"))
			if err := st.flush(); err != nil {
				return err
			}
		case <-look.C:
			if st.Draining() {
				return errStreamOver
			}
			if err := st.tellProgress(r.Context()); err != nil {
				return err
			}
		case <-st.reader.dropped:
			return errStreamOver
		case <-closing(r.Context()):
			return errStreamOver
		case <-r.Context().Done():
			return errStreamOver
		}
	}
}

// tell sends an event and those that wait behind it.
func (st *stream) tell(e job.Event) error {
	for range feedBatch {
		if !st.told[e.ID] {
			st.event(e)
		}
		delete(st.told, e.ID)
		select {
		case e = <-st.reader.events:
			continue
		default:
		}
		break
	}
	return st.flush()
}

func (st *stream) event(e job.Event) {
	st.message(mark(e.At, e.ID), st.reader.news(e))
	if e.OrderID != (job.ID{}) {
		st.moved[e.OrderID] = true
	}
}

// tellProgress tells how far orders are that something happened to, once a second: a
// directory more is an event, and its order's progress a question to the store.
func (st *stream) tellProgress(ctx context.Context) error {
	if len(st.moved) == 0 {
		return nil
	}
	left := mostProgress
	for order := range st.moved {
		if left--; left < 0 {
			break // the others next time
		}
		delete(st.moved, order)
		p, err := st.orderProgress(ctx, order)
		if errors.Is(err, job.ErrNotFound) {
			continue // pruned meanwhile
		}
		if err != nil {
			return err
		}
		st.message("", p)
	}
	return st.flush()
}

func (s *server) orderProgress(ctx context.Context, order job.ID) (orderProgress, error) {
	j, err := s.Store.Job(ctx, order)
	if err != nil {
		return orderProgress{}, err
	}
	p, err := s.progress(ctx, j)
	return orderProgress{Type: newsProgress, OrderID: order, CustomerID: j.CustomerID, State: j.State, progressView: p}, err
}

// message writes one; with a mark the client's stream can be taken up behind it.
func (st *stream) message(mark string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		return // views can be encoded
	}
	_ = st.control.SetWriteDeadline(time.Now().Add(streamWrite))
	if mark != "" {
		mark = "id: " + mark + "\n"
	}
	_, _ = fmt.Fprintf(st.w, "%sdata: %s\n\n", mark, data) // flush tells what failed
}

func (st *stream) flush() error {
	_ = st.control.SetWriteDeadline(time.Now().Add(streamWrite))
	if err := st.control.Flush(); err != nil {
		return errStreamOver
	}
	return nil
}
