package report

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// maker fills a report.
type maker struct {
	ctx context.Context
	s   Store
	Config
	r *Report
}

// sums adds up what the rollups of a name say, by label.
func (m maker) sums(name string) (map[string]int64, error) {
	rollups, err := m.s.Rollups(m.ctx, name, m.r.Period.From, m.r.Period.To)
	sums := map[string]int64{}
	for _, f := range rollups {
		sums[f.Labels] += f.Value
	}
	return sums, err
}

func total(sums map[string]int64) (n int64) {
	for _, v := range sums {
		n += v
	}
	return n
}

func (m maker) events(types ...string) (map[string]int64, error) {
	return m.s.CountEvents(m.ctx, m.r.Period.From, m.r.Period.To, types...)
}

func (m maker) stale() error {
	recovered, err := m.sums(job.FactRecovered)
	if err != nil {
		return err
	}
	retired, err := m.sums(job.FactRetired)
	if err != nil {
		return err
	}
	events, err := m.events(job.EventStormOpened)
	if err != nil {
		return err
	}
	stale, err := m.s.Stale(m.ctx, m.Stall, 1000)
	for _, j := range stale {
		if !j.Canary && m.r.At.Sub(j.Since) > m.patience(j.Cause) {
			m.r.Stale.Stuck++
		}
	}
	delete(recovered, job.RetiredStopped)
	delete(retired, job.RetiredStopped)
	st := &m.r.Stale
	st.Recovered, st.Total, st.Retired, st.Storms = recovered, total(recovered), total(retired), events[job.EventStormOpened]
	return err
}

// patience is after how long a stale job should have been taken back.
func (m maker) patience(cause string) time.Duration {
	if cause == job.NoProgress {
		return m.Stall + time.Minute
	}
	return time.Minute
}

func (m maker) letters() (err error) {
	count := func(f job.LetterFilter) (n int64, err error) {
		f.Since, f.Until = m.r.Period.From, m.r.Period.To
		groups, err := m.s.LetterGroups(m.ctx, f)
		for _, g := range groups {
			n += g.Count
		}
		return n, err
	}
	l := &m.r.Letters
	if l.Arrived, err = count(job.LetterFilter{Decided: true}); err != nil {
		return err
	}
	if l.Undone, err = count(job.LetterFilter{}); err != nil {
		return err
	}
	depth, err := m.s.LetterDepth(m.ctx)
	if err != nil {
		return err
	}
	l.Open, l.Oldest = depth.Open, depth.Oldest
	events, err := m.events(job.EventJobRedriven, job.EventLetterPurged)
	l.Redriven, l.Purged = events[job.EventJobRedriven], events[job.EventLetterPurged]
	return err
}

func (m maker) limits() error {
	sums, err := m.sums(job.FactDecisions)
	for label, n := range sums {
		m.r.Limits.Decisions += n
		if parts := strings.Split(label, "/"); len(parts) > 1 && parts[1] == "deny" {
			m.r.Limits.Refused += n
		}
	}
	m.r.Limits.Share = share(m.r.Limits.Refused, m.r.Limits.Decisions)
	return err
}

// healthOverall is the label of the installation's own verdict.
const healthOverall = "overall/"

func (m maker) health() error {
	rollups, err := m.s.Rollups(m.ctx, job.FactHealth, m.r.Period.From, m.r.Period.To)
	if err != nil {
		return err
	}
	h := &m.r.Health
	h.Seconds = map[string]int64{}
	well, all := map[string]int64{}, map[string]int64{}
	for _, f := range rollups {
		verdict, mine := strings.CutPrefix(f.Labels, healthOverall)
		if !mine {
			continue
		}
		day := f.At.UTC().Format(time.DateOnly)
		h.Seconds[verdict] += f.Value
		all[day] += f.Value
		if verdict == "healthy" {
			well[day] += f.Value
		}
	}
	h.Share = share(h.Seconds["healthy"], total(h.Seconds))
	for _, day := range slices.Sorted(maps.Keys(all)) {
		h.Days = append(h.Days, Day{day, share(well[day], all[day])})
	}
	changes, err := m.sums(job.FactHealthChanges)
	for label, n := range changes {
		if strings.HasPrefix(label, healthOverall) {
			h.Changes += n
		}
	}
	return err
}

func (m maker) alerts() error {
	p, err := m.s.AlertsDelivered(m.ctx, m.r.Period.From, m.r.Period.To, late)
	m.r.Alerts.Punctuality = p
	m.r.Alerts.Share = share(p.Delivered-p.Late, p.Delivered+p.Waiting)
	return err
}

// noJobs are kinds that nobody ordered.
var noJobs = []string{job.KindCanary, job.KindNoop}

func (m maker) jobs() error {
	completed, err := m.sums(job.FactCompleted)
	if err != nil {
		return err
	}
	for _, kind := range noJobs {
		delete(completed, kind)
	}
	failed, err := m.s.JobsFailed(m.ctx, m.r.Period.From, m.r.Period.To, noJobs...)
	m.r.Jobs = Jobs{Completed: total(completed), Failed: failed, Share: share(total(completed), total(completed)+failed)}
	return err
}

func (m maker) uptime() error {
	worked, err := m.s.Rollups(m.ctx, job.FactUptime, m.r.Period.From, m.r.Period.To)
	if err != nil {
		return err
	}
	passes, err := m.s.Rollups(m.ctx, job.FactPasses, m.r.Period.From, m.r.Period.To)
	if err != nil || len(worked)+len(passes) == 0 {
		return err
	}
	of := m.known(append(slices.Clone(worked), passes...))
	m.r.Uptime = Uptime{Workers: share(int64(min(workedFor(worked), of)), int64(of)), Monitors: map[string]*float64{}}
	for name, every := range m.Every {
		mine := slices.DeleteFunc(slices.Clone(passes), func(f job.Rollup) bool { return f.Labels != name })
		m.r.Uptime.Monitors[name] = share(int64(min(watchedFor(mine, every), of)), int64(of))
	}
	return nil
}

// unheard is how old a sum is, at most, before it is in the store.
const unheard = 2 * time.Minute

// known is the part of the period of which something is known: since the first fact, as
// nothing was installed before, and until the sums of the last minutes are in the store.
func (m maker) known(facts []job.Rollup) time.Duration {
	from, to := m.r.Period.To, m.r.Period.To
	for _, f := range facts {
		if f.At.Before(from) {
			from = f.At
		}
	}
	if heard := m.r.At.Add(-unheard); heard.Before(to) {
		to = heard
	}
	return to.Sub(from)
}

// workedFor is for how long some worker had its lease.
func workedFor(worked []job.Rollup) (up time.Duration) {
	for _, f := range worked { // it has one label
		up += min(time.Duration(f.Value)*time.Second, f.Span)
	}
	return up
}

// watchedFor is for how long the good passes of a monitor stand: one that looks seldom is
// missed after two of its intervals, so that long; of one that looks often there are many
// in a minute, and each stands for one interval.
func watchedFor(passes []job.Rollup, every time.Duration) (up time.Duration) {
	var end time.Time
	slices.SortFunc(passes, func(a, b job.Rollup) int { return a.At.Compare(b.At) })
	for _, f := range passes {
		stands := 2 * every
		if f.Span > stands {
			stands = min(f.Span, time.Duration(f.Value)*every)
		}
		from := f.At
		if from.Before(end) {
			from = end
		}
		if until := f.At.Add(stands); until.After(from) {
			up += until.Sub(from)
			end = until
		}
	}
	return up
}

func (m maker) books() error {
	events, err := m.events(job.EventBooksUnbalanced)
	if err != nil {
		return err
	}
	m.r.Books.Told = events[job.EventBooksUnbalanced]
	found, err := m.s.Findings(m.ctx)
	for _, f := range found {
		if f.Kind == job.OrphanUnbalanced {
			m.r.Books.Unbalanced++
		}
	}
	return err
}

func (m maker) orders() (err error) {
	o := &m.r.Orders
	if o.Placed, err = m.s.OrdersPlaced(m.ctx, m.r.Period.From, m.r.Period.To); err != nil {
		return err
	}
	done, err := m.s.OrdersCompleted(m.ctx, m.r.Period.From, m.r.Period.To)
	if err != nil {
		return err
	}
	for _, c := range done {
		o.Completed = o.Completed.Plus(job.Sum{Count: 1, ValueCents: c.ValueCents})
	}
	o.Median, o.P95 = quantile(done, 0.5), quantile(done, 0.95)
	events, err := m.events(job.EventShortfall)
	o.Shortfall = events[job.EventShortfall]
	return err
}

// quantile is the smallest time that so large a share of the orders did not exceed.
func quantile(done []job.Completion, q float64) time.Duration {
	if len(done) == 0 {
		return 0
	}
	at := int(q*float64(len(done))+0.9999999) - 1
	return done[max(0, min(at, len(done)-1))].Took
}

func (m maker) money() (err error) {
	money := &m.r.Money
	if money.Protected, err = m.s.Protected(m.ctx, m.r.Period.From, m.r.Period.To); err != nil {
		return err
	}
	if m.r.Period.Name == Monthly {
		money.Promised = PromisedMonthly
	}
	money.AtRisk, err = m.s.AtRisk(m.ctx, m.Stall)
	return err
}
