package acceptance

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// mire is a web site of directories whose visitors sink in, as long as it has no floor: no
// answer ever comes. Those that have room before are served.
type mire struct {
	*httptest.Server
	sunk  chan struct{} // one for each who sank
	floor chan struct{} // closed: nobody sinks any more

	mu   sync.Mutex
	room int // forms that are served before somebody sinks
}

// newMire lets visitors sink when they post, or, where it has room for some before, when
// they ask for a form.
func newMire(s *stack, room int) *mire {
	m := &mire{sunk: make(chan struct{}, 100), floor: make(chan struct{}), room: room}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /add/{slug}", func(w http.ResponseWriter, r *http.Request) {
		if room > 0 {
			m.bear(r)
		}
		fmt.Fprintf(w, `<html><body><form method="post" action="/post/%s"><label>Business name <input name="business"></label><button>Send</button></form>`, r.PathValue("slug"))
	})
	mux.HandleFunc("POST /post/{slug}", func(w http.ResponseWriter, r *http.Request) {
		if room == 0 {
			m.bear(r)
		}
		fmt.Fprint(w, "<html><body><h1>Listing received</h1>")
	})
	m.Server = httptest.NewServer(mux)
	s.t.Cleanup(func() { m.fill(); m.Close() })
	return m
}

// bear returns when there is something to stand on.
func (m *mire) bear(r *http.Request) {
	m.mu.Lock()
	m.room--
	sinks := m.room < 0
	m.mu.Unlock()
	if !sinks {
		return
	}
	m.sunk <- struct{}{}
	select {
	case <-m.floor:
	case <-r.Context().Done():
	}
}

// fill gives it a floor; twice is harmless.
func (m *mire) fill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.floor:
	default:
		m.room = math.MaxInt
		close(m.floor)
	}
}

// catalog has its directories, in this order.
func (m *mire) catalog(slugs ...string) []byte {
	text := "directories:\n"
	for i, slug := range slugs {
		text += fmt.Sprintf(`  - slug: %[1]s
    name: %[1]s
    url: %[2]s/%[1]s/
    category: general
    tier: 1
    authority: %[3]d
    method: form
    form:
      start: %[2]s/add/%[1]s
      steps:
        - fields:
            - {name: business, profile: name}
    success:
      - {text: Listing received}
    pacing: {min_interval: 0s, daily_cap: 0, timeout: 60s}
`, slug, m.URL, 99-i)
	}
	return []byte(text)
}

// awaitSunk waits until n visitors more sank in.
func (s *stack) awaitSunk(m *mire, n int, p *process) {
	s.t.Helper()
	for range n {
		select {
		case <-m.sunk:
		case <-p.exited:
			s.t.Fatalf("the worker ended by itself:\n%s", tail(p.output()))
		case <-time.After(time.Minute):
			s.t.Fatalf("nobody came:\n%s", tail(p.output()))
		}
	}
}
