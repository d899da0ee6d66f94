package books

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
)

var quiet = slog.New(slog.DiscardHandler)

// backend is a store as the tests use it.
type backend interface {
	job.Store
	Plan(ctx context.Context, l job.Lease, p directory.Plan) ([]directory.Submission, error)
	io.Closer
}

// ledger is a real store whose clock the test turns, and whose rows it can change.
type ledger struct {
	backend
	t       *testing.T
	advance func(time.Duration)
	exec    func(query string)
	worker  job.ID
}

var migrated = dbtest.Template(func(url string) error {
	s, err := postgres.Open(context.Background(), postgres.Config{URL: url, Log: quiet})
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.Migrate(context.Background())
	return err
})

// onEach runs a test on both stores.
func onEach(t *testing.T, test func(l *ledger)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "jobs.db")
		var offset atomic.Int64
		s, err := sqlite.Open(t.Context(), sqlite.Config{
			Path: path, Log: quiet, Clock: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) },
		})
		if err == nil {
			_, err = s.Migrate(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		test(newLedger(t, s, func(d time.Duration) { offset.Add(int64(d)) }, func(query string) {
			db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), query); err != nil {
				t.Fatal(err)
			}
		}))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := migrated(t)
		advance := dbtest.Clock(t, url)
		s, err := postgres.Open(t.Context(), postgres.Config{URL: url, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		test(newLedger(t, s, advance, func(query string) { dbtest.Exec(t, url, query) }))
	})
}

func newLedger(t *testing.T, s backend, advance func(time.Duration), exec func(string)) *ledger {
	t.Helper()
	t.Cleanup(func() { _ = s.Close() })
	l := &ledger{backend: s, t: t, advance: advance, exec: exec, worker: job.NewID()}
	l.must(s.Register(t.Context(), job.Worker{ID: l.worker, Host: "h", PID: 1, Version: "test", Kinds: []string{job.KindOrder}, Capacity: 100}, 1000*time.Hour))
	return l
}

func (l *ledger) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// order places an order of one directory and plans it.
func (l *ledger) order() job.ID {
	l.t.Helper()
	made, err := l.Enqueue(l.t.Context(), job.Spec{Kind: job.KindOrder, Quota: 1, ValueCents: 14900, CustomerID: job.NewID()})
	l.must(err)
	jobs, err := l.Claim(l.t.Context(), job.ClaimRequest{Worker: l.worker, Limit: 1, Kinds: []string{job.KindOrder}})
	l.must(err)
	_, err = l.Plan(l.t.Context(), jobs[0].Lease(), directory.Plan{Choices: []directory.Choice{{Directory: "alpha", Rank: 1}}, Identity: made[0].ID.String()})
	l.must(err)
	return made[0].ID
}

func (l *ledger) monitor(c Config) *Monitor {
	c.Store, c.Log = l, quiet
	return New(c)
}

// pass makes a pass, and reports one whose turn it was not.
func (l *ledger) pass(m *Monitor) Result {
	l.t.Helper()
	r, err := m.Pass(l.t.Context())
	l.must(err)
	if !r.Mine {
		l.t.Error("it was not the monitor's turn")
	}
	return r
}

// notices takes the notices that wait to be sent.
func (l *ledger) notices() (all []job.Notice) {
	l.t.Helper()
	sent, err := l.TakeMessages(l.t.Context(), job.MessageAlert, 100, time.Minute)
	l.must(err)
	for _, m := range sent {
		var n job.Notice
		l.must(json.Unmarshal(m.Payload, &n))
		all = append(all, n)
		l.must(l.MarkSent(l.t.Context(), m.ID))
	}
	return all
}

func TestAnImbalanceMadeByHandIsFoundNamedAndToldOfOnce(t *testing.T) {
	onEach(t, func(l *ledger) {
		one, two := l.monitor(Config{}), l.monitor(Config{})
		ids := []job.ID{l.order(), l.order(), l.order()}
		if r := l.pass(one); r.Checked != 3 || len(r.Unbalanced) != 0 {
			t.Errorf("checked %d, unbalanced %+v; want 3, none", r.Checked, r.Unbalanced)
		}
		if r, err := two.Pass(t.Context()); err != nil || r.Mine {
			t.Errorf("a second check in the same minute: %+v, error %v", r, err)
		}

		// Long after anything touched the order.
		l.advance(24 * time.Hour)
		l.exec("DELETE FROM submissions WHERE order_id = '" + ids[1].String() + "'")
		r := l.pass(two)
		const cause = "quota 1, submissions 0, replaced 0, shortfall 0"
		if len(r.Noted.Told) != 1 || r.Noted.Told[0].OrderID != ids[1] || r.Noted.Told[0].Cause != cause {
			l.t.Errorf("told of %+v", r.Noted.Told)
		}
		ns := l.notices()
		if len(ns) != 1 || ns[0].Alert != job.AlertBooks || ns[0].ValueCents != 14900 || len(ns[0].JobIDs) != 1 || ns[0].JobIDs[0] != ids[1] ||
			!strings.Contains(ns[0].Text, ids[1].String()) || !strings.Contains(ns[0].Text, cause) {
			l.t.Errorf("notices %+v", ns)
		}
		events, err := l.History(l.t.Context(), ids[1])
		l.must(err)
		if last := events[len(events)-1]; last.Type != job.EventBooksUnbalanced || last.OrderID != ids[1] {
			l.t.Errorf("the last event is %+v", last)
		}

		for _, m := range []*Monitor{one, two, l.monitor(Config{})} {
			l.advance(time.Hour)
			if r := l.pass(m); len(r.Unbalanced) != 1 || len(r.Noted.Told) != 0 {
				l.t.Errorf("a later check: unbalanced %+v, told %+v", r.Unbalanced, r.Noted.Told)
			}
		}
		if ns := l.notices(); len(ns) != 0 {
			l.t.Errorf("told again: %+v", ns)
		}
		l.stands(false)

		l.exec("UPDATE jobs SET shortfall = 1 WHERE id = '" + ids[1].String() + "'")
		l.advance(time.Hour)
		if r := l.pass(one); len(r.Noted.Gone) != 1 {
			l.t.Errorf("balanced again: %+v", r.Noted)
		}
		if ns := l.notices(); len(ns) != 1 || !ns[0].Resolved {
			l.t.Errorf("notices when it is over: %+v", ns)
		}
		l.stands(true)
	})
}

func (l *ledger) stands(balanced bool) {
	l.t.Helper()
	s, err := Stand(l.t.Context(), l, 10*time.Minute)
	l.must(err)
	if s.Balanced != balanced || s.Balanced != (len(s.Unbalanced) == 0) || s.CheckedAt.IsZero() || s.Unchecked != "" {
		l.t.Errorf("the books stand as %+v, want balanced %v", s, balanced)
	}
}

// Books at which nobody looked do not balance, whatever is noted.
func TestBooksThatNobodyChecksDoNotBalance(t *testing.T) {
	onEach(t, func(l *ledger) {
		stand := func(what string, balanced bool, unchecked string) {
			t.Helper()
			s, err := Stand(t.Context(), l, 10*time.Minute)
			l.must(err)
			if s.Balanced != balanced || !strings.HasPrefix(s.Unchecked, unchecked) || (s.Unchecked == "") != (unchecked == "") {
				l.t.Errorf("%s: balanced %v, unchecked %q; want %v, %q", what, s.Balanced, s.Unchecked, balanced, unchecked)
			}
		}
		stand("never checked", false, "nobody ever checked the books")
		l.pass(l.monitor(Config{}))
		stand("just checked", true, "")
		l.advance(2 * time.Minute)
		stand("late", true, "")
		l.advance(time.Minute)
		stand("two checks missed", true, "nobody has checked the books since 2")
		l.advance(3 * time.Minute)
		stand("five checks missed", false, "nobody has checked the books since 2")
	})
}

// Neither the walk nor what is touched leads to an order whose event is gone.
func TestAnOrderThatNothingSaysWasPaidForIsFoundWithinTheHour(t *testing.T) {
	onEach(t, func(l *ledger) {
		up := time.Hour
		m := l.monitor(Config{clock: func() time.Duration { return up }})
		ids := []job.ID{l.order(), l.order()}
		unpaid := func(id job.ID) { l.exec("DELETE FROM events WHERE job_id = '" + id.String() + "'") }
		l.advance(24 * time.Hour)
		unpaid(ids[0])
		const cause = "nothing says that it was paid for"
		if r := l.pass(m); len(r.Noted.Told) != 1 || r.Noted.Told[0].OrderID != ids[0] || r.Noted.Told[0].Cause != cause {
			l.t.Errorf("at start told of %+v", r.Noted.Told)
		}
		unpaid(ids[1])
		for _, c := range []struct {
			after time.Duration
			told  int
		}{{time.Minute, 0}, {58 * time.Minute, 0}, {2 * time.Minute, 1}} {
			up += c.after
			l.advance(c.after)
			if r := l.pass(m); len(r.Noted.Told) != c.told || len(r.Noted.Gone) != 0 {
				l.t.Errorf("%s later: %+v", c.after, r.Noted)
			}
		}
	})
}

// crippled is a store that cannot say what was touched, or cannot judge it.
type crippled struct {
	backend
	touched, unpaid error
	asked           []int // orders in each question
}

func (c *crippled) OrdersTouched(ctx context.Context, within time.Duration, after job.ID, limit int) ([]job.ID, error) {
	if c.touched != nil {
		return nil, c.touched
	}
	return c.backend.OrdersTouched(ctx, within, after, limit)
}

func (c *crippled) UnpaidOrders(ctx context.Context, limit int) ([]job.ID, error) {
	if c.unpaid != nil {
		return nil, c.unpaid
	}
	return c.backend.UnpaidOrders(ctx, limit)
}

func (c *crippled) JudgeOrders(ctx context.Context, orders ...job.ID) ([]job.Finding, error) {
	c.asked = append(c.asked, len(orders))
	return c.backend.JudgeOrders(ctx, orders...)
}

func TestTheWalkGoesOnWhateverBecameOfTheRest(t *testing.T) {
	onEach(t, func(l *ledger) {
		c := &crippled{backend: l.backend, touched: errors.New("timeout"), unpaid: errors.New("no time")}
		m := New(Config{Store: c, Log: quiet})
		known, id := l.order(), l.order()
		l.exec("DELETE FROM submissions WHERE order_id = '" + known.String() + "'")
		r, err := m.Pass(t.Context())
		if err == nil || !strings.Contains(err.Error(), "timeout") || !strings.Contains(err.Error(), "no time") {
			l.t.Errorf("the check is good: error %v", err)
		}
		if r.Checked != 2 || len(r.Noted.Told) != 1 || r.Noted.Told[0].OrderID != known {
			l.t.Errorf("walked over %d, told of %+v", r.Checked, r.Noted.Told)
		}
		if passes, err := l.MonitorPasses(t.Context()); err != nil || len(passes) != 1 || !passes[0].GoodAt.IsZero() {
			l.t.Errorf("passes %+v, error %v", passes, err)
		}
		l.advance(time.Hour)
		l.exec("DELETE FROM events WHERE job_id = '" + known.String() + "'") // the walk misses it now, and that proves nothing
		l.exec("DELETE FROM submissions WHERE order_id = '" + id.String() + "'")
		if r, _ = m.Pass(t.Context()); len(r.Noted.Told) != 1 || r.Noted.Told[0].OrderID != id || len(r.Noted.Gone) != 0 {
			l.t.Errorf("told of %+v, over are %+v", r.Noted.Told, r.Noted.Gone)
		}
	})
}

func TestWhatWasTouchedIsJudgedPageByPage(t *testing.T) {
	onEach(t, func(l *ledger) {
		c := &crippled{backend: l.backend}
		m := New(Config{Store: c, Log: quiet, page: 2})
		var last job.ID
		for range 2*listedPages + 3 {
			last = l.order()
		}
		l.exec("DELETE FROM submissions WHERE order_id = '" + last.String() + "'")
		found, few, err := m.touched(t.Context())
		l.must(err)
		if few || len(found) != 1 || found[0].OrderID != last || len(c.asked) != listedPages+2 || slices.Max(c.asked) > 2 {
			l.t.Errorf("found %+v, few %v, in questions of %v", found, few, c.asked)
		}
	})
}

// A monitor that has little time walks a page in each check, and comes round.
func TestTheWalkGoesOnWhereItEnded(t *testing.T) {
	onEach(t, func(l *ledger) {
		m := l.monitor(Config{Walk: 1, page: 2})
		var ids []job.ID
		for range 5 {
			ids = append(ids, l.order())
		}
		l.advance(24 * time.Hour)
		l.exec("DELETE FROM submissions WHERE order_id = '" + ids[4].String() + "'")
		var checked []int
		for range 4 {
			r := l.pass(m)
			checked = append(checked, r.Checked)
			l.advance(time.Minute)
			if want := len(checked) >= 3; (len(r.Unbalanced) == 1) != want {
				l.t.Errorf("after %v: unbalanced %+v", checked, r.Unbalanced)
			}
		}
		if got := fmt.Sprint(checked); got != "[2 2 1 2]" {
			l.t.Errorf("walked over %s", got)
		}
	})
}

func TestACheckProvesItself(t *testing.T) {
	onEach(t, func(l *ledger) {
		m := l.monitor(Config{})
		l.order()
		l.pass(m)
		passes, err := l.MonitorPasses(t.Context())
		l.must(err)
		if len(passes) != 1 || passes[0].Monitor != job.MonitorBooks || passes[0].GoodAt.IsZero() || passes[0].Every != time.Minute || passes[0].Counts["orders"] != 1 {
			l.t.Errorf("passes %+v", passes)
		}
		now, err := l.Now(t.Context())
		l.must(err)
		facts, err := l.Rollups(t.Context(), job.FactPasses, now.Add(-time.Hour), now.Add(time.Hour))
		l.must(err)
		if len(facts) != 1 || facts[0].Labels != job.MonitorBooks || facts[0].Value != 1 {
			l.t.Errorf("facts %+v", facts)
		}
		l.must(l.Close())
		if _, err := m.Pass(t.Context()); err == nil {
			l.t.Error("a check without a store is good")
		}
	})
}

func TestAProofNamesWhatDoesNotBalance(t *testing.T) {
	onEach(t, func(l *ledger) {
		ids := []job.ID{l.order(), l.order()}
		p, err := Prove(t.Context(), l, time.Minute, nil)
		l.must(err)
		if !p.Holds || p.Checked != 2 || p.Orders() != "2 paid = 0 pending + 2 in_progress + 0 completed + 0 failed + 0 cancelled" ||
			!strings.HasPrefix(p.Directories(), "2 bought = 2 planned + 0 shortfall") {
			l.t.Errorf("%+v\n%s\n%s", p, p.Orders(), p.Directories())
		}
		l.exec("DELETE FROM jobs WHERE id = '" + ids[0].String() + "'")
		l.exec("DELETE FROM events WHERE type = 'order.created' AND job_id = '" + ids[1].String() + "'")
		p, err = Prove(t.Context(), l, time.Minute, nil)
		l.must(err)
		if p.Holds || len(p.Unbalanced) != 2 {
			l.t.Errorf("%+v", p)
		}
	})
}

// What one change hides from the sums, the look at each order shows: here one is
// paid and gone, and another is there unpaid.
func TestSumsThatAddUpByChanceDoNotBalance(t *testing.T) {
	onEach(t, func(l *ledger) {
		ids := []job.ID{l.order(), l.order()}
		l.exec("DELETE FROM jobs WHERE id = '" + ids[0].String() + "'")
		l.exec("DELETE FROM events WHERE type = 'order.created' AND job_id = '" + ids[1].String() + "'")
		p, err := Prove(t.Context(), l, time.Minute, nil)
		l.must(err)
		if !p.Balanced() || p.Holds {
			l.t.Errorf("sums balance: %v, the proof holds: %v; want true, false", p.Balanced(), p.Holds)
		}
	})
}
