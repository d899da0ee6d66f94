package books

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/bootclock"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/seldom"
)

const (
	// callTimeout bounds one call of the store.
	callTimeout = 10 * time.Second
	// leaveTimeout bounds the goodbye: it must not hold up a process that shall end.
	leaveTimeout = 2 * time.Second
	// pageSize is how many orders are walked over with one question.
	pageSize = 1000
	// mostTold is how many unbalanced orders one check takes up.
	mostTold = 1000
	// unpaidEvery is how often orders of which nothing says that they were paid for are
	// looked for: that walks over all jobs.
	unpaidEvery = time.Hour
	// unpaidTimeout bounds that look.
	unpaidTimeout = time.Minute
)

// Store is what the monitor needs of a store.
type Store interface {
	job.Books
	job.Orphans
	job.Findings
	job.Passes
	job.Rollups
	Now(ctx context.Context) (time.Time, error)
}

// Config describes a monitor. Zero means the default.
type Config struct {
	Store    Store         // required
	Interval time.Duration // between two checks, whoever makes them; 1 min
	Walk     time.Duration // how long a check may walk over orders that nothing touched; 2 s
	Stall    time.Duration // without progress for so long is stuck, due for so long is late; 10 min
	Log      *slog.Logger  // nil: slog.Default()
	Metrics  Metrics       // nil: none

	clock func() time.Duration // tests; nil: bootclock.Now
	page  int                  // tests; zero: pageSize
}

// Metrics hears what the books say. Implementations must not block.
type Metrics interface {
	BooksChecked(orders int, took time.Duration, err error)
	BooksUnbalanced(orders int)     // as last seen
	BooksTold(orders int)           // people were told of
	ValueAtRisk(r job.Risk)         // now
	RevenueProtected(saved job.Sum) // in the last 30 days
}

// Monitor repeats checks. One goroutine uses it.
type Monitor struct {
	Config
	failing seldom.Line
	pass    job.MonitorPass
	last    job.ID        // the order up to which was walked
	unpaid  time.Duration // when unpaid orders were last looked for; zero: never
	seen    time.Duration // when the metrics were told last; zero: never
}

// New builds a monitor; nothing runs before Run or Pass.
func New(c Config) *Monitor {
	if c.Interval <= 0 {
		c.Interval = time.Minute
	}
	if c.Walk <= 0 {
		c.Walk = 2 * time.Second
	}
	if c.Stall <= 0 {
		c.Stall = 10 * time.Minute
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	if c.clock == nil {
		c.clock = bootclock.Now
	}
	if c.page <= 0 {
		c.page = pageSize
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &Monitor{Config: c, pass: job.MonitorPass{
		Monitor: job.MonitorBooks, Process: job.NewID(), Host: host, PID: os.Getpid(), Every: c.Interval,
	}}
}

// Result tells what a pass saw.
type Result struct {
	Mine       bool          // it was our turn to check
	Checked    int           // orders, those that were only walked over included
	Unbalanced []job.Finding // all that are
	Noted      job.Noted     // told of now, and balanced again
}

// Run repeats passes until ctx ends. It asks more often than checks are due, so that one
// follows another in time whoever makes it.
func (m *Monitor) Run(ctx context.Context) error {
	for {
		if _, err := m.Pass(ctx); err != nil && ctx.Err() == nil {
			if unsaid, now := m.failing.Say(); now {
				m.Log.WarnContext(ctx, "books not checked, will try again", "error", err.Error(), "unsaid", unsaid)
			}
		}
		rest := m.Interval / 6
		select {
		case <-ctx.Done():
			m.leave(ctx)
			return nil
		case <-time.After(rest - time.Duration(rand.Int64N(int64(rest/5)+1))):
		}
	}
}

// Pass checks the books if it is this monitor's turn, and tells the metrics how they
// stand when that is due. A check that could not be recorded has failed: others think that
// nobody checks.
func (m *Monitor) Pass(ctx context.Context) (r Result, err error) {
	r.Mine, err = m.turn(ctx)
	if err != nil {
		return r, err
	}
	if r.Mine {
		begun := time.Now()
		err = m.check(ctx, &r)
		m.Metrics.BooksChecked(r.Checked, time.Since(begun), err)
		err = errors.Join(err, m.record(ctx, r, time.Since(begun), err))
	}
	return r, errors.Join(err, m.observe(ctx))
}

func (m *Monitor) turn(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return m.Store.TakeTurn(ctx, "books", m.Interval-m.Interval/12)
}

// check judges the orders that something touched within three intervals, as one may be
// missed, those that were found earlier, some of the rest, and once an hour those that
// nobody paid for. Each part is done whatever became of the others, and what they found
// is told, but a check of which a part failed is not good.
func (m *Monitor) check(ctx context.Context, r *Result) error {
	found, few, failed := m.touched(ctx)
	unpaid, err := m.unpaidOrders(ctx)
	failed = errors.Join(failed, err)
	walked, err := m.walk(ctx, r)
	failed = errors.Join(failed, err)
	known := map[string]bool{}
	for _, f := range slices.Concat(found, unpaid, walked) {
		if !known[f.Subject] && len(r.Unbalanced) < mostTold {
			r.Unbalanced = append(r.Unbalanced, f)
		}
		known[f.Subject] = true
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r.Noted, err = m.Store.NoteFindings(ctx, job.Look{
		Kind: job.OrphanUnbalanced, Found: r.Unbalanced, Partial: failed != nil || few || len(known) > len(r.Unbalanced),
		Event: job.EventBooksUnbalanced, Alert: job.AlertBooks,
	})
	if err == nil {
		m.tell(ctx, r.Noted)
	}
	return errors.Join(failed, err)
}

// touched judges what was touched lately and what was found before, page by page; few
// says that it stopped as there is enough to tell.
func (m *Monitor) touched(ctx context.Context) (found []job.Finding, few bool, err error) {
	for last := (job.ID{}); ; {
		ids, err := m.listed(ctx, last)
		if err != nil {
			return found, false, err
		}
		for page := range slices.Chunk(ids, m.page) {
			wrong, err := m.judge(ctx, page)
			if err != nil {
				return found, false, err
			}
			if found = append(found, wrong...); len(found) >= mostTold {
				return found, true, nil
			}
		}
		if len(ids) < listedPages*m.page {
			return found, false, nil
		}
		last = ids[len(ids)-1]
	}
}

// listedPages is how many pages of touched orders one question lists.
const listedPages = 10

func (m *Monitor) listed(ctx context.Context, last job.ID) ([]job.ID, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return m.Store.OrdersTouched(ctx, 3*m.Interval, last, listedPages*m.page)
}

func (m *Monitor) judge(ctx context.Context, ids []job.ID) ([]job.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return m.Store.JudgeOrders(ctx, ids...)
}

// unpaidOrders finds orders of which nothing says that they were paid for: neither the
// walk nor what is touched leads to them. It looks when it never did, and once an hour.
func (m *Monitor) unpaidOrders(ctx context.Context) ([]job.Finding, error) {
	now := m.clock()
	if m.unpaid > 0 && now-m.unpaid < unpaidEvery {
		return nil, nil
	}
	listing, cancel := context.WithTimeout(ctx, unpaidTimeout)
	defer cancel()
	ids, err := m.Store.UnpaidOrders(listing, mostTold)
	if err != nil {
		return nil, err
	}
	found, err := m.judge(ctx, ids)
	if err == nil {
		m.unpaid = now
	}
	return found, err
}

// walk goes on over all orders from where the last walk ended, from the beginning when it
// came to the end, and no order twice in one check.
func (m *Monitor) walk(ctx context.Context, r *Result) (found []job.Finding, err error) {
	begun := time.Now()
	for {
		ids, wrong, err := m.step(ctx)
		if err != nil {
			return found, err
		}
		r.Checked += len(ids)
		found = append(found, wrong...)
		if len(ids) < m.page {
			m.last = job.ID{}
			return found, nil
		}
		m.last = ids[len(ids)-1]
		if time.Since(begun) > m.Walk {
			return found, nil
		}
	}
}

func (m *Monitor) step(ctx context.Context) (ids []job.ID, wrong []job.Finding, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if ids, err = m.Store.OrdersPaid(ctx, m.last, m.page); err != nil {
		return nil, nil, err
	}
	wrong, err = m.Store.JudgeOrders(ctx, ids...)
	return ids, wrong, err
}

func (m *Monitor) tell(ctx context.Context, n job.Noted) {
	m.Metrics.BooksTold(len(n.Told))
	for _, f := range n.Told {
		m.Log.ErrorContext(ctx, "books do not balance", "order_id", f.OrderID, "cause", f.Cause, "value_cents", f.ValueCents)
	}
	for _, f := range n.Gone {
		m.Log.InfoContext(ctx, "books balance again", "order_id", f.OrderID)
	}
}

// record has a check kept where others see it.
func (m *Monitor) record(ctx context.Context, r Result, took time.Duration, failed error) error {
	p := &m.pass
	p.Took, p.Error = took, ""
	p.Passes++
	fact := job.Fact{Name: job.FactPasses, Labels: job.MonitorBooks, Value: 1}
	if failed != nil {
		p.Failed++
		p.Error = failed.Error()
		fact.Name = job.FactPassesFailed
	}
	p.Counts = map[string]int64{"orders": p.Counts["orders"] + int64(r.Checked), "told": p.Counts["told"] + int64(len(r.Noted.Told))}
	if ctx.Err() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := m.Store.RecordPass(ctx, *p); err != nil {
		return fmt.Errorf("record the check: %w", err)
	}
	return m.Store.AddFacts(ctx, fact)
}

// observe tells the metrics how the books stand, once an interval, also in processes whose
// turn it never is: none shows what was true when it last had it.
func (m *Monitor) observe(ctx context.Context) error {
	now := m.clock()
	if m.seen > 0 && now-m.seen < m.Interval {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, err := Stand(ctx, m.Store, m.Stall)
	if err != nil {
		return err
	}
	m.seen = now
	m.Metrics.BooksUnbalanced(len(s.Unbalanced))
	m.Metrics.ValueAtRisk(s.AtRisk)
	m.Metrics.RevenueProtected(s.Protected.Month.Total())
	return nil
}

// leave tells others that this monitor was told to go, so that they do not miss it.
func (m *Monitor) leave(ctx context.Context) {
	if m.pass.Passes == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := m.Store.LeavePasses(ctx, job.MonitorBooks, m.pass.Process); err != nil {
		m.Log.WarnContext(ctx, "monitor of the books not signed off, others will miss it", "error", err.Error())
	}
}

type noMetrics struct{}

func (noMetrics) BooksChecked(int, time.Duration, error) {}
func (noMetrics) BooksUnbalanced(int)                    {}
func (noMetrics) BooksTold(int)                          {}
func (noMetrics) ValueAtRisk(job.Risk)                   {}
func (noMetrics) RevenueProtected(job.Sum)               {}
