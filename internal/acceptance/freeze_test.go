package acceptance

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// trap is a directory made for freezing: its form takes a large file, and it
// tells the test when the first post is where it should be caught. It lists what
// arrives whole.
type trap struct {
	*httptest.Server
	stall   bool          // catch the first post in the middle of its body, not after it
	release chan struct{} // lets the first post go on
	caught  chan struct{} // the first post is there
	once    sync.Once

	mu     sync.Mutex
	posts  int // posts that began
	listed int // posts that arrived whole
}

func newTrap(t *testing.T, stall bool) *trap {
	t.Helper()
	d := &trap{stall: stall, release: make(chan struct{}), caught: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /add", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<html><body><form method="post" action="/add" enctype="multipart/form-data">
			<label>Business name <input name="business"></label>
			<label>Website <input name="website" type="url"></label>
			<label>Logo <input name="logo" type="file"></label>
			<button>Send</button></form></body></html>`)
	})
	mux.HandleFunc("POST /add", d.post)
	mux.HandleFunc("GET /search", d.search)
	d.Server = httptest.NewUnstartedServer(mux)
	// A small receive buffer makes the sender block in the middle of its body.
	d.Listener = smallBuffers{d.Listener}
	d.Start()
	t.Cleanup(func() { d.letGo(); d.Close() })
	return d
}

type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		err = tcp.SetReadBuffer(32 << 10)
	}
	return c, err
}

func (d *trap) post(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.posts++
	first := d.posts == 1
	d.mu.Unlock()
	if first && d.stall {
		if _, err := io.ReadFull(r.Body, make([]byte, 64)); err != nil {
			return
		}
		d.hold()
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // cut off: nothing is listed
	}
	if first && !d.stall {
		d.hold()
	}
	d.mu.Lock()
	d.listed++
	d.mu.Unlock()
	fmt.Fprint(w, `<html><body><h1>Listing received</h1></body></html>`)
}

// letGo lets the first post go on; twice is harmless.
func (d *trap) letGo() { d.once.Do(func() { close(d.release) }) }

func (d *trap) hold() {
	close(d.caught)
	<-d.release
}

func (d *trap) search(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.listed > 0 {
		fmt.Fprint(w, `<html><body><p class="hit">Harbour Bakery 1</p></body></html>`)
		return
	}
	fmt.Fprint(w, `<html><body><p class="none">No results</p></body></html>`)
}

func (d *trap) counts() (posts, listed int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.posts, d.listed
}

func (d *trap) catalog() []byte {
	return fmt.Appendf(nil, `directories:
  - slug: trap
    name: Trap
    url: %[1]s/
    category: general
    tier: 1
    authority: 90
    method: form
    form:
      start: %[1]s/add
      steps:
        - fields:
            - {name: business, profile: name}
            - {name: website, profile: website}
            - {name: logo, file: logo}
    success:
      - {text: Listing received}
    lookup:
      url: %[1]s/search?q={name}
      found: [{selector: .hit}]
      absent: [{selector: .none}]
      absence_is_proof: true
      settle: 200ms
    pacing: {min_interval: 0s, daily_cap: 0, timeout: 1500ms}
`, d.URL)
}

// TestFrozenBetweenIntentAndOutcome stops a worker whose post has arrived and
// waits for its answer, past its lease, and wakes it when another has taken over.
func TestFrozenBetweenIntentAndOutcome(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stack) {
		d := newTrap(t, false)
		freezeStory(t, s, d, 1) // the first post was listed while its sender was frozen
	})
}

// TestFrozenInTheMiddleOfAPost stops a worker that is blocked in writing its
// body. What it still has must not leave when it wakes.
func TestFrozenInTheMiddleOfAPost(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stack) {
		d := newTrap(t, true)
		freezeStory(t, s, d, 2) // the first post was cut, provably absent, and sent again by the other
	})
}

func freezeStory(t *testing.T, s *stack, d *trap, wantPosts int) {
	s.use(d.catalog())
	s.bigLogo()
	frozen := s.start("work")
	id := s.submit(1, "starter")
	select {
	case <-d.caught:
	case <-time.After(30 * time.Second):
		t.Fatalf("no post came: %v\n%s", tally(s.results(id)), tail(frozen.output()))
	}
	s.freeze(frozen)
	before := s.job(id)
	if d.stall {
		time.AfterFunc(5*time.Second, d.letGo) // reads on after the deadline is over
	} else {
		d.letGo()
	}

	other, monitor := s.start("work"), s.start("all")
	j := s.awaitFinal(id, time.Minute, other, monitor)
	frozen.signal(syscall.SIGCONT)
	s.awaitFencedOrGone(frozen)

	after, err := s.store().Job(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if after.Fence != j.Fence || after.State != j.State || after.WorkerID != j.WorkerID {
		t.Errorf("the woken worker changed the job: %+v, before %+v", after, j)
	}
	if j.State != job.Completed || j.Fence <= before.Fence || j.WorkerID == before.WorkerID {
		t.Errorf("job %s, fence %d → %d, owner %s → %s: want another worker to have completed it", j.State, before.Fence, j.Fence, before.WorkerID, j.WorkerID)
	}
	posts, listed := d.counts()
	if listed != 1 || posts != wantPosts {
		t.Errorf("%d posts began and %d were listed, want %d and 1", posts, listed, wantPosts)
	}
	subs := s.results(id)
	if len(subs) != 1 || subs[0].State != directory.Submitted {
		t.Errorf("submissions: %s, want one submitted", tally(subs))
	}
}

// freeze stops a process at a moment at which it does not hold SQLite's write lock:
// one that is frozen with it stops every other writer, and no lease helps (see
// docs/lifecycle.md).
func (s *stack) freeze(p *process) {
	s.t.Helper()
	for range 100 {
		p.signal(syscall.SIGSTOP)
		eventually(s.t, "the process is stopped", p.stopped)
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		err := s.store().Pause(ctx, job.Scope{Kind: "probe"}, job.By{Actor: "cli:test", Reason: "is the store free?"})
		cancel()
		if err == nil {
			return
		}
		p.signal(syscall.SIGCONT)
		time.Sleep(20 * time.Millisecond)
	}
	s.t.Fatal("the process holds the store whenever it is stopped")
}

// stopped reports whether each thread of a process is stopped: on a busy machine one runs
// on for a while after the signal.
func (p *process) stopped() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		p.s.t.Fatalf("the threads of %d: %d of them, %v", p.cmd.Process.Pid, len(threads), err)
	}
	return !slices.ContainsFunc(threads, func(file string) bool {
		stat, err := os.ReadFile(file)
		return err == nil && !bytes.Contains(stat, []byte(") T "))
	})
}

// awaitFencedOrGone waits until the woken worker has noticed what happened.
func (s *stack) awaitFencedOrGone(p *process) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if bytes.Contains(p.output(), []byte("worker begins anew")) {
			return
		}
	}
	s.t.Fatalf("the woken worker never noticed that its lease is gone:\n%s", tail(p.output()))
}

// bigLogo replaces the profile's logo by one that no socket buffer holds whole.
func (s *stack) bigLogo() { s.logo = noisyLogo() }
