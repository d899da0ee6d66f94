package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/job"
)

// patience bounds every wait for a stream.
const patience = 20 * time.Second

// told is a message of a stream.
type told struct {
	mark string
	news
	Progress struct{ Done, Total, Percent int } // of order.progress
	State    job.State
	data     []byte
}

// listener is a client of the stream.
type listener struct {
	t        *testing.T
	messages chan told
	hangUp   context.CancelFunc
	status   int
	last     string // mark
}

// listen opens a stream and waits until it is ready.
func (o *office) listen(key, lastID string) *listener {
	o.t.Helper()
	l := o.dial(key, lastID)
	if l.status != http.StatusOK {
		o.t.Fatalf("the stream is answered with %d", l.status)
	}
	return l
}

func (o *office) dial(key, lastID string) *listener {
	o.t.Helper()
	header := http.Header{"Authorization": {"Bearer " + key}}
	if lastID != "" {
		header.Set("Last-Event-ID", lastID)
	}
	return o.connect(header)
}

func (o *office) connect(header http.Header) *listener {
	o.t.Helper()
	ctx, hangUp := context.WithCancel(o.t.Context())
	o.t.Cleanup(hangUp)
	r, err := http.NewRequestWithContext(ctx, "GET", o.url+"/api/events", nil)
	if err != nil {
		o.t.Fatal(err)
	}
	r.Header = header
	res, err := http.DefaultClient.Do(r) //nolint:bodyclose // by the goroutine that reads it
	if err != nil {
		o.t.Fatal(err)
	}
	if res.StatusCode == http.StatusOK {
		// It is held against the document as far as it can be: of a stream that does not end, until reads each message.
		if err := promised().check("GET", "/api/events", nil, res.StatusCode, res.Header, []byte(": it goes on\n\n")); err != nil {
			o.t.Errorf("the stream is not as /api/openapi.json tells: %v", err)
		}
	}
	l := &listener{t: o.t, messages: make(chan told, 10_000), hangUp: hangUp, status: res.StatusCode}
	go func() {
		defer res.Body.Close()
		defer close(l.messages)
		var m told
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			switch name, text, _ := strings.Cut(lines.Text(), ": "); name {
			case "id":
				m.mark = text
			case "data":
				if json.Unmarshal([]byte(text), &m) == nil && json.Unmarshal([]byte(text), &m.Progress) == nil {
					m.data = []byte(text)
					l.messages <- m
				}
				m = told{}
			}
		}
	}()
	return l
}

// until returns the messages up to the first that is wanted.
func (l *listener) until(what string, want func(told) bool) (all []told) {
	l.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case m, open := <-l.messages:
			if !open {
				l.t.Fatalf("the stream ended before %s; it told %+v", what, all)
			}
			all = append(all, m)
			if err := promised().checkMessage(m.data); err != nil {
				l.t.Errorf("a message is not as /api/openapi.json tells: %v\nin %s", err, m.data)
			}
			if m.mark != "" {
				l.last = m.mark
			}
			if want(m) {
				return all
			}
		case <-limit:
			l.t.Fatalf("the stream never told %s; it told %+v", what, all)
		}
	}
}

func ofType(typ string, id job.ID) func(told) bool {
	return func(m told) bool { return m.Type == typ && (id == job.ID{} || m.JobID == id || m.OrderID == id) }
}

func ready(m told) bool { return m.Type == newsReady }

func TestCustomersHearOfTheirOwnAndStaffOfAll(t *testing.T) {
	o := newOffice(t)
	mine, house := o.listen(o.keys[auth.Customer], ""), o.listen(o.keys[auth.Staff], "")
	mine.until("that it is ready", ready)
	house.until("that it is ready", ready)
	theirs := o.placed(o.other, 1)
	id := o.placed(o.customer, 2)
	o.must(o.store.Cancel(t.Context(), theirs, job.By{Actor: "cli:ann", Reason: "not paid"}))
	o.must(o.store.Cancel(t.Context(), id, job.By{Actor: "cli:ann", Reason: "not paid"}))
	o.must(o.store.Tell(t.Context(), job.Event{Type: job.EventAlertRaised, CustomerID: o.customer, JobID: id, Actor: "system"}, nil))
	for _, m := range mine.until("the end of the order", ofType(job.EventJobCancelled, id)) {
		if m.CustomerID != o.customer || m.Actor != "" || m.Detail != nil || m.Cause != "" {
			t.Errorf("a customer heard %+v", m)
		}
	}
	all := house.until("an alert", ofType(job.EventAlertRaised, id))
	heard := map[string]int{}
	for _, m := range all {
		heard[m.Type]++
		if m.Type == job.EventJobCancelled && (m.Actor != "cli:ann" || m.Cause != "not paid") {
			t.Errorf("staff heard %+v", m)
		}
	}
	if heard[job.EventOrderCreated] != 2 || heard[job.EventJobCancelled] != 2 {
		t.Errorf("staff heard %v", heard)
	}
	if m := mine.until("how far the order is", ofType(newsProgress, id)); m[len(m)-1].State != job.Cancelled || m[len(m)-1].Progress.Total != 50 {
		t.Errorf("progress %+v", m)
	}
}

func TestAStreamIsTakenUpWhereItBrokeOff(t *testing.T) {
	o := newOffice(t)
	key := o.keys[auth.Customer]
	first := o.listen(key, "")
	first.until("that it is ready", ready)
	heard := map[job.ID]int{}
	count := func(messages []told) {
		for _, m := range messages {
			if m.ID != (job.ID{}) {
				heard[m.ID]++
			}
		}
	}
	before := o.placed(o.customer, 1)
	count(first.until("the first order", ofType(job.EventOrderCreated, before)))
	first.hangUp()
	meanwhile := o.placed(o.customer, 2)
	second := o.listen(key, first.last)
	all := second.until("that it is ready", ready)
	count(all)
	if len(all) < 2 || !ofType(job.EventOrderCreated, meanwhile)(all[len(all)-2]) {
		t.Errorf("what was missed is not told: %+v", all)
	}
	after := o.placed(o.customer, 3)
	count(second.until("the third order", ofType(job.EventOrderCreated, after)))
	if len(heard) != 3 {
		t.Errorf("heard %v, want three events", heard)
	}
	old := o.listen(key, mark(time.Now().Add(-2*resumeFor), job.ID{}))
	if m := old.until("anything", func(told) bool { return true }); m[0].Type != newsReset {
		t.Errorf("a stream that broke off long ago begins with %+v", m)
	}
	for _, bad := range []string{"x", "1-2", "-5-" + job.NewID().String()} {
		o.ask(key, "GET", "/api/events", "", "Last-Event-ID", bad).refused(http.StatusBadRequest, codeInvalidCursor)
	}
	o.ask(key, "GET", "/api/events", "", "Accept", "application/json").refused(http.StatusBadRequest, codeInvalidRequest)
}

// ended waits for the end of the stream.
func (l *listener) ended(what string) {
	l.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case _, open := <-l.messages:
			if !open {
				return
			}
		case <-limit:
			l.t.Fatalf("the stream goes on %s", what)
		}
	}
}

func TestAStreamEndsWhenItsReaderMayReadNoMore(t *testing.T) {
	usual := streamBeat
	t.Cleanup(func() { streamBeat = usual }) // when the office is closed
	streamBeat = 50 * time.Millisecond
	o := newOffice(t)
	browser := func(key string) (*listener, string) {
		t.Helper()
		in := o.ask("", "POST", "/api/session", `{"key":"`+key+`"}`).is(http.StatusCreated)
		shown, _, _ := strings.Cut(in.header.Get("Set-Cookie"), ";")
		l := o.connect(http.Header{"Cookie": {shown}})
		l.until("that it is ready", ready)
		return l, shown
	}
	others, _ := browser(o.keys[auth.Admin])
	signedOut, shown := browser(o.keys[auth.Staff])
	revoked := o.mint(auth.Staff, job.ID{})
	ofSession, _ := browser(revoked)
	ofKey := o.listen(revoked, "")
	ofKey.until("that it is ready", ready)

	o.ask("", "DELETE", "/api/session", "", "Cookie", shown).is(http.StatusNoContent)
	o.must(o.store.RevokeKey(t.Context(), strings.Split(revoked, "_")[2], job.By{Actor: "cli:test"}))
	signedOut.ended("after its reader signed out")
	ofKey.ended("after its key was revoked")
	ofSession.ended("after the key of its session was revoked")
	id := o.placed(o.customer, 1)
	others.until("what happens after that", ofType(job.EventOrderCreated, id))
}

func TestStreamsAreBoundedForEachKey(t *testing.T) {
	o := newOffice(t)
	key := o.keys[auth.Customer]
	open := make([]*listener, mostStreamsOfKey)
	for i := range open {
		open[i] = o.listen(key, "")
	}
	refused := o.ask(key, "GET", "/api/events", "")
	refused.refused(http.StatusTooManyRequests, codeRateLimited)
	if refused.header.Get("Retry-After") == "" {
		t.Error("nobody says when to come again")
	}
	if log := o.log.String(); strings.Contains(log, "request failed") {
		t.Errorf("what a client does is called an error of ours: %s", log)
	}
	o.listen(o.keys[auth.Staff], "")
	open[0].hangUp()
	for deadline := time.Now().Add(patience); o.dial(key, "").status != http.StatusOK; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a stream that was closed still counts")
		}
	}
}

func TestAProcessWithoutAStreamLeftSaysSoAndWhy(t *testing.T) {
	var s streams
	for i := range mostStreams {
		if err := s.open(fmt.Sprint("key", i)); err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
	}
	p := problemOf(s.open("one more"))
	if p.Status != http.StatusServiceUnavailable || p.Code != codeUnavailable || p.cause == nil || p.retryAfter == 0 {
		t.Errorf("%+v, cause %v", p, p.cause)
	}
	s.close("key0")
	if err := s.open("one more"); err != nil {
		t.Errorf("after one was closed: %v", err)
	}
}

func TestWhoReadsTooSlowlyIsDroppedAndOthersHearOn(t *testing.T) {
	o := newOffice(t)
	f := &feed{store: o.store, log: slog.New(slog.DiscardHandler)}
	staff := auth.Identity{Role: auth.Staff}
	slow, err := f.join(t.Context(), staff)
	o.must(err)
	quick, err := f.join(t.Context(), staff)
	o.must(err)
	for i := range feedBuffer + 1 {
		f.give(job.Event{Type: fmt.Sprint(i)})
		<-quick.events
	}
	select {
	case <-slow.dropped:
	default:
		t.Error("the slow one is still waited for")
	}
	select {
	case <-quick.dropped:
		t.Error("the quick one was dropped")
	default:
	}
	f.leave(quick)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		f.mu.Lock()
		running := f.running
		f.mu.Unlock()
		if !running {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the feed reads on though nobody listens")
		}
	}
}

// late is a store to which an event is committed after later ones.
type late struct {
	feedStore
	events []job.Event
	fails  int // looks that fail
}

func (s *late) Now(context.Context) (time.Time, error) { return time.Unix(1000, 0), nil }

func (s *late) Events(_ context.Context, f job.EventFilter) (found []job.Event, err error) {
	if s.fails > 0 {
		s.fails--
		return nil, errors.New("store is away")
	}
	for _, e := range s.events {
		if !e.At.Before(f.From) {
			found = append(found, e)
		}
	}
	return found, nil
}

func TestATailFindsWhatIsCommittedLateAndTellsNothingTwice(t *testing.T) {
	s := &late{}
	tl := &tail{store: s}
	var got []string
	read := func() {
		t.Helper()
		if err := tl.read(t.Context(), func(e job.Event) { got = append(got, e.Type) }); err != nil {
			t.Fatal(err)
		}
	}
	commit := func(name string, second int64) {
		s.events = append(s.events, job.Event{ID: job.NewID(), Type: name, At: time.Unix(second, 0)})
	}
	commit("before", 999)
	read()
	commit("a", 1003)
	read()
	commit("late", 1001)
	commit("b", 1004)
	read()
	read()
	commit("c", 1020)
	read()
	if text := strings.Join(got, " "); text != "a late b c" {
		t.Errorf("told %q, want %q", text, "a late b c")
	}
	if len(tl.seen) != 5 {
		t.Errorf("remembers %d events, want all 5: the next look forgets", len(tl.seen))
	}
	read()
	if len(tl.seen) != 1 {
		t.Errorf("remembers %d events, want the one that it finds again", len(tl.seen))
	}
}

func TestATailWhoseFirstLookFailsTellsNothingOldAsNews(t *testing.T) {
	s := &late{fails: 1, events: []job.Event{{ID: job.NewID(), Type: "old", At: time.Unix(999, 0)}}}
	tl := &tail{store: s}
	var got []string
	hear := func(e job.Event) { got = append(got, e.Type) }
	if err := tl.read(t.Context(), hear); err == nil {
		t.Error("a look that failed is none")
	}
	for range 2 {
		if err := tl.read(t.Context(), hear); err != nil {
			t.Fatal(err)
		}
	}
	s.events = append(s.events, job.Event{ID: job.NewID(), Type: "new", At: time.Unix(1001, 0)})
	if err := tl.read(t.Context(), hear); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(got, " "); text != "new" {
		t.Errorf("told %q, want %q", text, "new")
	}
}

// A process that ends does not wait for those who listen, or for a claim.
func TestStreamsAndClaimsEndWithTheProcess(t *testing.T) {
	o := newOffice(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	o.must(err)
	h := New(Deps{Ready: func(context.Context) error { return nil }, Store: o.store, Keys: auth.NewVerifier(o.store, o.store)})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, ln, h, slog.New(slog.DiscardHandler)) }()
	o.url = "http://" + ln.Addr().String()
	worker := o.worker()
	l := o.listen(o.keys[auth.Staff], "")
	l.until("that it is ready", ready)
	claim := make(chan []claimedJob, 1)
	go func() { claim <- o.claim(worker, `,"wait_seconds":20`) }()
	time.Sleep(300 * time.Millisecond) // most likely the claim waits by now; nothing depends on it
	begun := time.Now()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > closeTimeout {
		t.Errorf("the end took %s", took)
	}
	if jobs := <-claim; len(jobs) != 0 {
		t.Errorf("claimed %+v", jobs)
	}
	for range l.messages { // ends
	}
}
