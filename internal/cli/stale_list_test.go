package cli

import (
	"bytes"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

func TestStaleListShowsOrphansWithTheirValue(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var out, chatter bytes.Buffer
	a := &app{stdout: &out, stderr: &chatter}
	since := now.Add(-90 * time.Second)
	err := tellOrphans(a, []job.Finding{
		{Kind: job.OrphanOwner, Subject: "w", Since: since, Count: 1, ValueCents: 100},
		{Kind: job.OrphanUnclaimed, Subject: "order", Cause: job.UnclaimedNoWorker, Since: since, Count: 2, ValueCents: 29800},
		{Kind: job.OrphanUndecided, Directory: "alpha", Cause: "cancelled", Since: since, Count: 1, ValueCents: 298},
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	want := "ORPHAN     SINCE                 FOR    COUNT  VALUE    WHAT\n" +
		"unclaimed  2026-03-01 11:58:30Z  1m30s  2      $298.00  2 jobs are due and not taken, of kind order: no worker is alive\n" +
		"undecided  2026-03-01 11:58:30Z  1m30s  1      $2.98    nobody will ask alpha what became of a post for order " + job.ID{}.String() + ", which is cancelled\n"
	if out.String() != want || chatter.String() != "2 orphans, $300.98 at risk\n" {
		t.Errorf("printed\n%swant\n%ssaid %q", out.String(), want, chatter.String())
	}
}

func TestStaleListSaysWhetherSomebodyWatches(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(ago time.Duration) job.MonitorPass {
		return job.MonitorPass{Monitor: job.MonitorStale, Host: "host-1", PID: 7, At: now, GoodAt: now.Add(-ago)}
	}
	left := at(2 * time.Second)
	left.LeftAt = now.Add(-time.Second)
	failing := job.MonitorPass{Monitor: job.MonitorStale, At: now, Error: "no"}
	for want, passes := range map[string][]job.MonitorPass{
		"no stale monitor has looked well yet: no":                                                                   {failing, {Monitor: "dlq", GoodAt: now}},
		"no stale monitor ever looked; start one with: directorybolt stale-monitor":                                  {{Monitor: "dlq", GoodAt: now}},
		"no stale monitor looks since 2026-03-01 11:58:00Z; start one with: directorybolt stale-monitor":             {failing, at(2 * time.Minute), at(time.Hour)},
		"1 stale monitor at work, last pass 25s ago on host-1, pid 7":                                                {at(25 * time.Second), at(time.Hour)},
		"the last stale monitor was told to go at 2026-03-01 11:59:59Z; start one with: directorybolt stale-monitor": {left, at(time.Minute)},
		"1 stale monitor at work, last pass 5s ago on host-1, pid 7":                                                 {left, at(5 * time.Second)},
		"2 stale monitors at work, last pass 3s ago on host-1, pid 7":                                                {at(4 * time.Second), at(3 * time.Second)},
	} {
		if got := watchedBy(job.MonitorStale, passes, now, 5*time.Second); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
