package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/stale"
)

type staleListCmd struct {
	Limit int `default:"100" placeholder:"N" help:"At most so many, up to 10000; ${default} unless told."`
}

// Help shows how it is typed.
func (staleListCmd) Help() string {
	return examples("directorybolt stale list", "directorybolt stale list --json | jq .cause")
}

// Run prints the stuck jobs, those that wait longest first, and then what else nobody
// would come to.
func (c staleListCmd) Run(ctx context.Context, a *app) error {
	if c.Limit < 1 || c.Limit > 10_000 {
		return usage(fmt.Errorf("--limit %d is out of range", c.Limit), "1 to 10000")
	}
	settings, err := a.settings()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s backend) error {
		// One more than asked for tells whether there are others.
		stuck, err := s.Stale(ctx, settings.StallAfter(), c.Limit+1)
		if err != nil {
			return err
		}
		now, err := s.Now(ctx)
		if err != nil {
			return err
		}
		more := len(stuck) > c.Limit
		stuck = stuck[:min(len(stuck), c.Limit)]
		if err := tellStale(a, stuck, now); err != nil {
			return err
		}
		if more {
			a.say("more: add --limit")
		}
		orphans, err := stale.Seek(ctx, s, c.Limit)
		if err != nil {
			return err
		}
		if err := tellOrphans(a, orphans, now); err != nil {
			return err
		}
		passes, err := s.MonitorPasses(ctx)
		if err != nil {
			return err
		}
		a.say("%s", watchedBy(job.MonitorStale, passes, now, settings.LivenessInterval()))
		storm, err := s.LastStorm(ctx)
		if err == nil && storm.Open() {
			a.say("%s", stormy(storm, now))
		}
		return err
	})
}

// stormy says what an open storm holds, and how long.
func stormy(s *job.Storm, now time.Time) string {
	return fmt.Sprintf("a storm is open since %s: %d of %d workers stopped beating at once, and nobody is retired by lease for another %s at most; see docs/runbook.md",
		stamp(s.OpenedAt), s.Dead, s.Owners, span(s.OpenedAt.Add(job.StormHold).Sub(now)))
}

// tellStale prints stale jobs, and what they are worth.
func tellStale(a *app, stale []job.StaleJob, now time.Time) error {
	header := []string{"JOB", "KIND", "DETECTOR", "CAUSE", "SINCE", "FOR", "CRASHES", "VALUE", "WORKER"}
	err := list(a, stale, header, func(j job.StaleJob) []string {
		return []string{
			j.ID.String(), j.Kind, string(j.Detector), j.Cause, stamp(j.Since), span(now.Sub(j.Since)),
			fmt.Sprintf("%d/%d", j.Crashes, j.CrashBudget), dollars(j.ValueCents), ownerOf(j),
		}
	})
	if err != nil {
		return err
	}
	if len(stale) == 0 {
		a.say("no stale jobs")
		return nil
	}
	a.say("%s, %s at risk", count(len(stale), "stale job"), dollars(atRisk(stale)))
	return nil
}

// tellOrphans prints what nobody would come to by himself. Jobs of an unknown owner are
// among the stale ones already.
func tellOrphans(a *app, orphans []job.Finding, now time.Time) error {
	orphans = slices.DeleteFunc(orphans, func(f job.Finding) bool { return f.Kind == job.OrphanOwner })
	if len(orphans) == 0 {
		return nil
	}
	header := []string{"ORPHAN", "SINCE", "FOR", "COUNT", "VALUE", "WHAT"}
	err := list(a, orphans, header, func(f job.Finding) []string {
		return []string{f.Kind, stamp(f.Since), span(now.Sub(f.Since)), strconv.FormatInt(f.Count, 10), dollars(f.ValueCents), f.Text()}
	})
	if err != nil {
		return err
	}
	var cents int64
	for _, f := range orphans {
		cents += f.ValueCents
	}
	a.say("%s, %s at risk", count(len(orphans), "orphan"), dollars(cents))
	return nil
}

// atRisk is what was paid for the jobs. Canaries carry no money.
func atRisk(stale []job.StaleJob) (cents int64) {
	for _, j := range stale {
		if !j.Canary {
			cents += j.ValueCents
		}
	}
	return cents
}

// ownerOf is where the job's worker ran.
func ownerOf(j job.StaleJob) string {
	if j.Host == "" {
		return j.WorkerID.String()
	}
	return fmt.Sprintf("%s on %s, pid %d", j.WorkerID, j.Host, j.PID)
}

// span is a duration as people read it: the two largest units.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return d.Truncate(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// missedPasses is after how many intervals without a good pass a monitor counts as gone.
const missedPasses = 5

// watchedBy says whether a monitor is at work.
func watchedBy(monitor string, passes []job.MonitorPass, now time.Time, interval time.Duration) string {
	var last, alive job.MonitorPass // the latest good pass of any, and of those at work
	processes, failing := 0, ""
	for _, p := range passes {
		if p.Monitor != monitor {
			continue
		}
		failing = cmp.Or(failing, p.Error) // the latest comes first
		if p.GoodAt.After(last.GoodAt) {
			last = p
		}
		if !p.LeftAt.IsZero() || now.Sub(p.GoodAt) > missedPasses*interval {
			continue
		}
		processes++
		if p.GoodAt.After(alive.GoodAt) {
			alive = p
		}
	}
	remedy := "start one with: directorybolt " + monitor + "-monitor"
	switch {
	case last.GoodAt.IsZero() && failing != "":
		return fmt.Sprintf("no %s monitor has looked well yet: %s", monitor, failing)
	case last.GoodAt.IsZero():
		return "no " + monitor + " monitor ever looked; " + remedy
	case processes == 0 && !last.LeftAt.IsZero():
		return fmt.Sprintf("the last %s monitor was told to go at %s; %s", monitor, stamp(last.LeftAt), remedy)
	case processes == 0:
		return fmt.Sprintf("no %s monitor looks since %s; %s", monitor, stamp(last.GoodAt), remedy)
	}
	return fmt.Sprintf("%s at work, last pass %s ago on %s, pid %d", count(processes, monitor+" monitor"), span(now.Sub(alive.GoodAt)), alive.Host, alive.PID)
}
