package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// week is a recorded week on a real store, from Monday to Monday.
type week struct {
	*sqlite.Store
	t      *testing.T
	now    atomic.Int64
	worker job.ID
}

var monday = time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC)

func newWeek(t *testing.T) *week {
	t.Helper()
	w := &week{t: t}
	w.at(0)
	var err error
	w.Store, err = sqlite.Open(t.Context(), sqlite.Config{
		Path: filepath.Join(t.TempDir(), "jobs.db"), Log: slog.New(slog.DiscardHandler),
		Clock: func() time.Time { return time.UnixMicro(w.now.Load()) },
	})
	w.must(err)
	t.Cleanup(func() { _ = w.Close() })
	_, err = w.Migrate(t.Context())
	w.must(err)
	w.hire()
	return w
}

// at turns the clock to a moment of the week.
func (w *week) at(d time.Duration) { w.now.Store(monday.Add(d).UnixMicro()) }

func (w *week) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// hire registers a worker whose lease outlasts the week.
func (w *week) hire() {
	w.t.Helper()
	w.worker = job.NewID()
	w.must(w.Register(w.t.Context(), job.Worker{ID: w.worker, Host: "h", PID: 1, Version: "test", Kinds: []string{job.KindOrder}, Capacity: 10}, 1000*time.Hour))
}

// place places an order and claims it.
func (w *week) place(at time.Duration, cents int64) job.Job {
	w.t.Helper()
	w.at(at)
	_, err := w.Enqueue(w.t.Context(), job.Spec{Kind: job.KindOrder, ValueCents: cents, CustomerID: job.NewID()})
	w.must(err)
	return w.claim()
}

func (w *week) claim() job.Job {
	w.t.Helper()
	jobs, err := w.Claim(w.t.Context(), job.ClaimRequest{Worker: w.worker, Limit: 1, Kinds: []string{job.KindOrder}})
	w.must(err)
	if len(jobs) != 1 {
		w.t.Fatalf("claimed %d jobs, want 1", len(jobs))
	}
	return jobs[0]
}

func (w *week) complete(at time.Duration, j job.Job) {
	w.t.Helper()
	w.at(at)
	lost, err := w.Complete(w.t.Context(), j.Lease())
	w.must(err)
	if len(lost) > 0 {
		w.t.Fatal("the lease is lost")
	}
}

func (w *week) fail(j job.Job) {
	w.t.Helper()
	_, err := w.Fail(w.t.Context(), j.Lease(), job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})
	w.must(err)
}

// every adds a fact to each step of the week from one moment to another.
func (w *week) every(step, from, to time.Duration, name, labels string, value int64) {
	w.t.Helper()
	var facts []job.Fact
	now := time.Duration(w.now.Load()-monday.UnixMicro()) * time.Microsecond
	for at := from; at < to; at += step {
		facts = append(facts, job.Fact{Name: name, Labels: labels, Value: value, Ago: now - at})
		if len(facts) == 2000 {
			w.must(w.AddFacts(w.t.Context(), facts...))
			facts = nil
		}
	}
	w.must(w.AddFacts(w.t.Context(), facts...))
}

const (
	hour   = time.Hour
	day    = 24 * hour
	theEnd = 7 * day
)

// record lets the week happen. What is said of it here is what the test expects.
func (w *week) record() {
	w.t.Helper()
	a := w.place(hour, 14900)
	w.complete(2*hour, a) // 1 h
	b := w.place(3*hour, 29900)
	w.complete(5*hour, b) // 2 h
	c := w.place(6*hour, 49900)
	w.must(w.Retire(w.t.Context(), w.worker, job.RetiredLockLost, job.By{Actor: job.ActorSystem}))
	_, err := w.Recover(w.t.Context(), 10)
	w.must(err)
	w.hire()
	w.complete(10*hour, w.claim()) // 4 h, recovered
	d := w.place(day, 79900)
	w.fail(d)
	w.at(day + 9*hour)
	w.must(w.Redrive(w.t.Context(), d.ID, job.By{Actor: "cli:ann", Reason: "site is back"}))
	w.complete(day+10*hour, w.claim()) // 10 h, redriven
	e := w.place(2*day, 14900)
	w.fail(e) // stays
	canary, err := w.Enqueue(w.t.Context(), job.Spec{Kind: job.KindCanary, Canary: true, ValueCents: 7})
	w.must(err)
	w.must(w.Cancel(w.t.Context(), canary[0].ID, job.By{Actor: job.ActorSystem}))
	_ = c

	w.at(theEnd)
	w.every(time.Minute, 0, 3*day, job.FactPasses, job.MonitorStale, 12)
	w.every(time.Minute, 3*day+12*hour, theEnd, job.FactPasses, job.MonitorStale, 12) // 12 h nobody looked
	w.every(5*time.Minute, 0, theEnd, job.FactPasses, job.MonitorDLQ, 1)
	w.every(time.Minute, 0, theEnd, job.FactPasses, job.MonitorBooks, 1)
	w.every(time.Minute, 0, 6*day, job.FactUptime, "", 90) // two workers, half of the time each: a minute has 60 s
	w.every(day, hour, theEnd, job.FactDecisions, "public/allow/memory", 9945)
	w.every(day, hour, theEnd, job.FactDecisions, "public/deny/memory", 55)
	w.every(day, hour, theEnd, job.FactHealth, "overall/healthy", 84857)
	w.every(day, hour, theEnd, job.FactHealth, "overall/degraded", 1543)
	w.every(day, hour, theEnd, job.FactHealth, "database/up", 86400)
	w.every(day, hour, day, job.FactCompleted, job.KindOrder, 4)
	w.every(day, hour, 4*day, job.FactCompleted, job.KindRecheck, 4)
	w.every(day, hour, 4*day, job.FactCompleted, job.KindCanary, 100)
	w.every(day, hour, day, job.FactRecovered, job.RetiredLockLost, 1)
	w.every(day, hour, day, job.FactRecovered, job.RetiredStopped, 9)
	w.every(day, hour, day, job.FactRetired, job.RetiredLockLost, 1)
}

func (w *week) report(name string) Report {
	w.t.Helper()
	now, err := w.Now(w.t.Context())
	w.must(err)
	p, err := PeriodOf(name, now)
	w.must(err)
	r, err := Make(w.t.Context(), w, Config{
		Stall: 10 * time.Minute,
		Every: map[string]time.Duration{job.MonitorStale: 5 * time.Second, job.MonitorDLQ: 5 * time.Minute, job.MonitorBooks: time.Minute},
	}, p)
	w.must(err)
	return r
}

// The figures on the right were calculated by hand from what record says.
func TestTheWeeklyReportOfARecordedWeekIsTheHandCalculatedOne(t *testing.T) {
	w := newWeek(t)
	w.record()
	r := w.report(Weekly)
	known := func(share *float64) string {
		if share == nil {
			return "not known"
		}
		return fmt.Sprintf("%.4f", *share)
	}
	for _, c := range []struct{ what, got, want any }{
		{"from", r.Period.From, monday},
		{"to", r.Period.To, monday.AddDate(0, 0, 7)},
		{"placed", r.Orders.Placed, job.Sum{Count: 5, ValueCents: 14900 + 29900 + 49900 + 79900 + 14900}},
		{"completed", r.Orders.Completed, job.Sum{Count: 4, ValueCents: 174600}},
		{"median of 1, 2, 4 and 10 h", r.Orders.Median, 2 * hour},
		{"95 % of them", r.Orders.P95, 10 * hour},
		{"protected", r.Money.Protected, job.Protection{Recovered: job.Sum{Count: 1, ValueCents: 49900}, Redriven: job.Sum{Count: 1, ValueCents: 79900}}},
		{"at risk", r.Money.AtRisk, job.Risk{Failed: job.Sum{Count: 1, ValueCents: 14900}}},
		{"stuck", r.Stale.Stuck, 0},
		{"recovered", r.Stale.Recovered, map[string]int64{job.RetiredLockLost: 1}},
		{"letters", r.Letters, Letters{Arrived: 2, Undone: 1, Open: 1, Oldest: monday.AddDate(0, 0, 2), Redriven: 1}},
		{"refused: 385 of 70 000", known(r.Limits.Share), "0.0055"},
		{"healthy: 84 857 s a day", known(r.Health.Share), "0.9821"},
		{"days", len(r.Health.Days), 7},
		// One failed and was redriven and completed: it is among the 20.
		{"jobs: 20 of 21", known(r.Jobs.Share), "0.9524"},
		// Of the last two minutes nobody knows yet: the week has 604 680 s.
		{"workers: 6 days", known(r.Uptime.Workers), "0.8573"},
		{"stale monitor: 12 h less", known(r.Uptime.Monitors[job.MonitorStale]), "0.9288"},
		{"dead letter monitor", known(r.Uptime.Monitors[job.MonitorDLQ]), "1.0000"},
		{"monitor of the books", known(r.Uptime.Monitors[job.MonitorBooks]), "1.0000"},
		{"alerts", known(r.Alerts.Share), "not known"},
		// 18.6 + 10 + 10 + 9.8 + 15 + 15 of 90: nothing was to be delivered.
		{"score", *r.Score.Points, 87},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
	var points []string
	for _, p := range r.Score.Parts {
		text := "not known"
		if p.Points != nil {
			text = fmt.Sprint(*p.Points)
		}
		points = append(points, text)
	}
	if got := strings.Join(points, ", "); got != "18.6, 10, 10, 9.8, 15, not known, 15" {
		t.Errorf("points %s", got)
	}
	var text, page bytes.Buffer
	w.must(r.WriteText(&text))
	w.must(r.WriteHTML(&page))
	golden(t, "weekly.txt", text.Bytes())
	golden(t, "weekly.html", page.Bytes())

	// The same facts, the same report.
	one, err := json.Marshal(r)
	w.must(err)
	two, err := json.Marshal(w.report(Weekly))
	w.must(err)
	if !bytes.Equal(one, two) {
		t.Errorf("made twice:\n%s\n%s", one, two)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestTheMonthlyReportHoldsTheRevenueAgainstThePromise(t *testing.T) {
	w := newWeek(t)
	w.record()
	r := w.report(Monthly)
	if r.Money.Promised != PromisedMonthly || r.Money.Protected.Total().ValueCents != 129800 {
		t.Errorf("money %+v", r.Money)
	}
	var text bytes.Buffer
	w.must(r.WriteText(&text))
	if want := "$1298.00: 1 recovered, 1 redriven (target ≥ $2500.00: missed)"; !strings.Contains(text.String(), want) {
		t.Errorf("no %q in\n%s", want, &text)
	}
	// Nothing was installed before the first fact: that time is in no uptime.
	if s := r.Uptime.Monitors[job.MonitorBooks]; s == nil || *s != 1 {
		t.Errorf("monitor of the books up %v", s)
	}
}

// What was not recorded is not known, and nothing is made of it.
func TestAnEmptyStoreHasAReportThatClaimsNothing(t *testing.T) {
	w := newWeek(t)
	w.at(day)
	r := w.report(Daily)
	if r.Limits.Share != nil || r.Health.Share != nil || r.Jobs.Share != nil || r.Uptime.Workers != nil || r.Alerts.Share != nil {
		t.Errorf("%+v", r)
	}
	if r.Score.Points != nil {
		t.Errorf("score %d", *r.Score.Points)
	}
	var text bytes.Buffer
	w.must(r.WriteText(&text))
	if want := "not known: nothing was recorded"; !strings.Contains(text.String(), want) {
		t.Errorf("no %q in\n%s", want, &text)
	}
}

func TestWhatIsStuckOrUnbalancedTakesTheWholePart(t *testing.T) {
	w := newWeek(t)
	w.record()
	r := w.report(Weekly)
	r.Stale.Stuck, r.Books.Unbalanced = 1, 1
	s := score(&r)
	for _, p := range s.Parts {
		if (p.Name == "recovery" || p.Name == "books") && (p.Points == nil || *p.Points != 0) {
			t.Errorf("%s has %v points", p.Name, p.Points)
		}
	}
}
