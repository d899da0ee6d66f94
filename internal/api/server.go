package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/idempotency"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/tally"
)

// Store is what the routes ask.
type Store interface {
	job.Enqueuer
	job.Claimer
	job.Finisher
	job.Waker
	job.Rollups
	job.Operator
	job.Reader
	job.Registry
	job.Recoverer
	job.Letters
	job.Journal
	job.Passes
	auth.Keys
	auth.Sessions
	auth.Customers
	idempotency.Store

	// Submissions lists an order's submissions by rank.
	Submissions(ctx context.Context, order job.ID) ([]directory.Submission, error)
	// CountSubmissions counts them by state.
	CountSubmissions(ctx context.Context, order job.ID) ([]directory.Count, error)
	// CountDone counts those of each order that need no more work of it and were not
	// replaced. An order without any is left out.
	CountDone(ctx context.Context, orders ...job.ID) (map[job.ID]int, error)
}

// Clerk places orders.
type Clerk interface {
	// Place takes an order in, once for each idempotency key; without a key the same
	// order twice is one. A zero customer is the profile's own, made if unknown.
	Place(ctx context.Context, o NewOrder) (Placed, error)
}

// NewOrder is an order to place. The profile is normalized and valid.
type NewOrder struct {
	Customer job.ID // zero: found or made by Email
	Email    string // of who pays; empty: the profile's
	Package  directory.Package
	Business *directory.Business
	Key      string // idempotency key; empty: the order names itself
	Actor    string
}

// Placed answers it.
type Placed struct {
	job.Enqueued
	CustomerID job.ID
}

// Limiter bounds how often a client may ask.
type Limiter interface {
	// Allow counts a request under a policy: for the key, or for the client's address
	// where there is none. It sets the headers of limits; when it answers false it has
	// answered the client too.
	Allow(w http.ResponseWriter, r *http.Request, policy, keyID string) bool

	// Try runs try unless the client's address failed too often before. A failure counts
	// under the policy for the address, a success for the key. When it answers false it
	// has answered the client, whatever came of the try.
	Try(w http.ResponseWriter, r *http.Request, policy string, try func() (keyID string, failed bool)) bool
}

// Metrics hears of each request. Implementations must not block.
type Metrics interface {
	Request(route, method string, status int, took time.Duration)

	// Of workers that come over HTTP.
	JobsClaimed(kind string, n int, took time.Duration)
	JobEnded(kind, verb, class string, took time.Duration)
	LeaseLost(kind string)
}

// Pages is what people see in a browser.
type Pages interface {
	http.Handler
	// Has reports whether there is a page, or a part of one, at a path.
	Has(path string) bool
}

// Deps is what the api is built from.
type Deps struct {
	// Ready reports why work cannot be done: the database does not answer, or its
	// schema is not the one this binary needs. Required. It is asked at most once
	// a second, however many probes come.
	Ready func(ctx context.Context) error
	// Workers that come over HTTP have the lease and the delays of those of the house.
	Lease     time.Duration  // zero: 20 s
	Heartbeat time.Duration  // that they are told; zero: 5 s
	Backoff   backoff.Policy // between attempts
	// Draining reports that the process is on its way out; nil means never.
	Draining func() bool
	// MetricsPage answers GET /metrics; nil: nothing does.
	MetricsPage http.Handler
	// Tracer makes a span of each request; nil: no traces.
	Tracer *Tracer
	// Log learns the cause when readiness changes, and of errors on our side; nil
	// discards.
	Log *slog.Logger

	// What follows serves /api/. Without a Store there are probes alone.
	Store   Store
	Clerk   Clerk
	Keys    *auth.Verifier
	Catalog *directory.Catalog
	Stall   time.Duration // no progress for so long is stale
	Secure  bool          // cookies go over https only

	// Tally counts what workers over HTTP did, for reports. Once a minute it is added to the
	// store's sums; what is left at the end is for him to hand over who gave it. Nil: nobody does.
	Tally *tally.Tally

	Balance func(context.Context) (job.Balance, error) // how the books stand; nil: nobody says
	// Erase removes everything personal about a customer, from the store and from disk.
	Erase func(ctx context.Context, customer job.ID, by job.By) (auth.Erasure, error)

	MaxAttempts int // failures allowed to a job whose request does not say; zero: job.DefaultMaxAttempts
	CrashBudget int // crashes, likewise; zero: job.DefaultCrashBudget

	RedriveCap int                     // redrives after which a letter is held back; zero: none is
	NextStep   func(job.Letter) string // what to do about an open letter; nil: nobody says

	Limiter Limiter       // nil: nobody is limited
	Metrics Metrics       // nil: nobody hears
	Health  func() Health // how the installation is, at once; nil: nobody looks
	Pages   Pages         // nil: none
}

// server answers the routes.
type server struct {
	Deps
	document, docs *published // what the routes say of themselves, for programs and for people

	line       line
	feed       feed
	streams    streams
	sameOrigin *http.CrossOriginProtection
}

// New returns the handler: probes for machines, /api/, and pages. It panics when a route
// names nobody who may ask it, which is a fault of this package.
func New(d Deps) http.Handler {
	d.Lease, d.Heartbeat = cmp.Or(d.Lease, 20*time.Second), cmp.Or(d.Heartbeat, 5*time.Second)
	if d.Draining == nil {
		d.Draining = func() bool { return false }
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Limiter == nil {
		d.Limiter = unlimited{}
	}
	if d.Metrics == nil {
		d.Metrics = unheard{}
	}
	if d.Pages == nil {
		d.Pages = pageless{}
	}
	if d.Tally == nil {
		d.Tally = new(tally.Tally)
	}
	p := &probes{deps: d}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", p.livez)
	mux.HandleFunc("GET /readyz", p.readyz)
	if d.MetricsPage != nil {
		mux.Handle("GET /metrics", d.MetricsPage)
	}
	if d.Store != nil {
		s := &server{Deps: d, sameOrigin: http.NewCrossOriginProtection()}
		s.line.store, s.feed.store, s.feed.log = d.Store, d.Store, d.Log
		mux.Handle("/api/", s.routed())
		return s.front(mux)
	}
	return mux
}

// front keeps the mux from answering by itself, uncounted: with a redirect to how a
// path should have been written, or that there is nothing. Pages come before it; who
// signed in has his own count of them.
func (s *server) front(mux *http.ServeMux) http.Handler {
	elsewhere := s.serve(route{path: "unknown", who: anybody, policy: policyPublic, handle: unrouted(mux)})
	pages := s.serve(route{method: http.MethodGet, path: "page", who: anybody, handle: s.page})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.Pages.Has(r.URL.Path) {
			pages.ServeHTTP(w, r)
			return
		}
		_, pattern := mux.Handler(r)
		if pattern == "" || pattern == r.URL.Path+"/" || !clean(r.URL.Path) {
			elsewhere.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// page answers a page or a part of one.
func (s *server) page(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return refuse(http.StatusMethodNotAllowed, codeMethodNotAllowed, "%s is not allowed here; allowed: GET, HEAD", r.Method)
	}
	s.Pages.ServeHTTP(w, r)
	return nil
}

// clean reports whether a path has no part that a mux would take out.
func clean(p string) bool { return p == path.Clean(p) || p == path.Clean(p)+"/" }

// routed is the mux of /api/. What no route answers is a problem like any other
// refusal, and counted like one.
func (s *server) routed() http.Handler {
	mux := http.NewServeMux()
	routes := s.routes()
	for _, rt := range routes {
		if len(rt.who) == 0 {
			panic("api: nobody may ask " + rt.method + " " + rt.path)
		}
		if _, keyed := rt.body(); keyed {
			rt.handle = s.once(rt.handle)
		}
		mux.Handle(rt.method+" "+rt.path, s.serve(rt))
	}
	s.tell(routes)
	elsewhere := s.serve(route{path: "unknown", who: anybody, policy: policyPublic, handle: unrouted(mux)})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			elsewhere.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// unrouted tells a wrong method from a path that is not there.
func unrouted(mux *http.ServeMux) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var allowed []string
		if strings.TrimSuffix(r.URL.Path, "/") == "/api/queue" {
			return refuse(http.StatusBadRequest, codeMissingCustomer, "say whose queue: /api/queue/ and the customer's id")
		}
		if !clean(r.URL.Path) {
			return refuse(http.StatusNotFound, codeNotFound, "there is no %s; /api/openapi.json lists what there is", r.URL.Path)
		}
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
			other := r.Clone(r.Context())
			other.Method = method
			if _, pattern := mux.Handler(other); pattern != "" {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			return refuse(http.StatusMethodNotAllowed, codeMethodNotAllowed, "%s is not allowed here; allowed: %s", r.Method, strings.Join(allowed, ", "))
		}
		return refuse(http.StatusNotFound, codeNotFound, "there is no %s; /api/openapi.json lists what there is", r.URL.Path)
	}
}

// serve is the way of every request to its handler. In this order: who asked for too
// much is told so before anything is looked up for him; who may not ask learns nothing
// of what is there; whatever the handler returns becomes a problem.
func (s *server) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		r, id := withRequestID(r)
		r, span := s.traced(r, rt, id)
		seen := &watched{ResponseWriter: w}
		seen.Header().Set("X-Request-Id", id)
		seen.Header().Set("X-Content-Type-Options", "nosniff")
		defer func() {
			if fault := recover(); fault != nil {
				if err, ok := fault.(error); ok && errors.Is(err, http.ErrAbortHandler) { // the client is to see that the answer is cut
					panic(fault)
				}
				s.Log.ErrorContext(r.Context(), "handler panicked", "request_id", id, "route", rt.path, "panic", fmt.Sprint(fault), "stack", string(debug.Stack()))
				s.fail(seen, r, rt, errors.New("panic"))
			}
			s.Metrics.Request(rt.path, r.Method, seen.status, time.Since(begun))
			span.Status(seen.status)
			span.End(nil)
		}()
		if err := s.admit(seen, r, rt); err != nil && !errors.Is(err, errAnswered) {
			s.fail(seen, r, rt, err)
		}
	})
}

// errAnswered: the client has its answer already.
var errAnswered = errors.New("answered")

func (s *server) admit(w http.ResponseWriter, r *http.Request, rt route) error {
	if len(r.RequestURI) > maxURL {
		return refuse(http.StatusRequestURITooLong, codeURLTooLong, "the URL has more than %d bytes", maxURL)
	}
	identify := s.identify
	switch {
	case rt.policy == policyAuth:
		identify = nobody
	case rt.open():
		identify = s.identifyAnybody
	}
	who, proved, err := identify(r)
	for _, policy := range rt.policies(who) {
		if rt.policy == policyProbe && proved == byNothing || policy == policyAuth {
			break // no count, or by the handler: it knows how the try ended
		}
		if !s.Limiter.Allow(w, r, policy, who.KeyID) {
			return errAnswered
		}
	}
	if err != nil {
		return err
	}
	if err := rt.check(who); err != nil {
		return err
	}
	if proved == byCookie {
		if err := s.sameOrigin.Check(r); err != nil {
			return refuse(http.StatusForbidden, codeForbidden, "a page of another origin may not do this")
		}
	}
	return rt.handle(w, r.WithContext(context.WithValue(r.Context(), identityKey, who)))
}

// fail answers an error. The log has its chain where it is ours to mend.
func (s *server) fail(w *watched, r *http.Request, rt route, err error) {
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError && r.Context().Err() == nil {
		s.Log.ErrorContext(r.Context(), "request failed", "request_id", requestID(r.Context()), "route", rt.path, "error", err.Error(), "cause", fmt.Sprint(p.cause))
	}
	if w.status == 0 {
		p.write(w, r)
	}
}

// watched remembers the status of an answer.
type watched struct {
	http.ResponseWriter
	status int
}

func (w *watched) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets a handler flush.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type unlimited struct{}

func (unlimited) Allow(http.ResponseWriter, *http.Request, string, string) bool { return true }

func (unlimited) Try(_ http.ResponseWriter, _ *http.Request, _ string, try func() (string, bool)) bool {
	_, _ = try()
	return true
}

type pageless struct{ http.Handler }

func (pageless) Has(string) bool { return false }

type unheard struct{}

func (unheard) Request(string, string, int, time.Duration) {}
