package api

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	readyTimeout = time.Second
	readyFor     = time.Second // an answer is good for so long
)

type probes struct {
	deps Deps

	mu      sync.Mutex // held while asking, so that one asks for all who wait
	askedAt time.Time
	err     error
	failed  atomic.Bool
}

func (p *probes) livez(w http.ResponseWriter, _ *http.Request) { answerText(w, http.StatusOK, "ok") }

func (p *probes) readyz(w http.ResponseWriter, r *http.Request) {
	if p.deps.Draining() {
		answerText(w, http.StatusServiceUnavailable, "draining")
		return
	}
	// Who asks may hang up; the answer is for everybody.
	if err := p.ready(context.WithoutCancel(r.Context())); err != nil {
		answerText(w, http.StatusServiceUnavailable, reason(err))
		return
	}
	answerText(w, http.StatusOK, "ok")
}

func (p *probes) ready(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.askedAt.IsZero() && time.Since(p.askedAt) < readyFor {
		return p.err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	p.err = p.deps.Ready(ctx)
	p.askedAt = time.Now()
	p.tell(ctx)
	return p.err
}

// tell logs a change, not every probe.
func (p *probes) tell(ctx context.Context) {
	if failed := p.err != nil; p.failed.Swap(failed) != failed {
		if failed {
			p.deps.Log.WarnContext(ctx, "not ready", "err", p.err)
		} else {
			p.deps.Log.InfoContext(ctx, "ready again")
		}
	}
}

// ErrMigrations is what [Deps.Ready] wraps when the schema is behind the binary.
var ErrMigrations = errors.New("migrations are behind")

// NotReadyError is a reason of which outsiders may learn. [Deps.Ready] may wrap it.
type NotReadyError struct{ Reason string }

func (e *NotReadyError) Error() string { return e.Reason }

// reason is what outsiders learn; the log has the chain.
func reason(err error) string {
	var told *NotReadyError
	switch {
	case errors.Is(err, ErrMigrations):
		return "migrations are behind"
	case errors.As(err, &told):
		return told.Reason
	}
	return "the database does not answer"
}

func answerText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // a prober that hung up is no fault of ours
}
