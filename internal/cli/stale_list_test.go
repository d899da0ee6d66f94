package cli

import (
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

func TestStaleListSaysWhetherSomebodyWatches(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(ago time.Duration) job.MonitorPass {
		return job.MonitorPass{Monitor: job.MonitorStale, Host: "host-1", PID: 7, At: now, GoodAt: now.Add(-ago)}
	}
	failing := job.MonitorPass{Monitor: job.MonitorStale, At: now, Error: "no"}
	for want, passes := range map[string][]job.MonitorPass{
		"no stale monitor has looked well yet: no":                                                       {failing, {Monitor: "dlq", GoodAt: now}},
		"no stale monitor ever looked; start one with: directorybolt stale-monitor":                      {{Monitor: "dlq", GoodAt: now}},
		"no stale monitor looks since 2026-03-01 11:58:00Z; start one with: directorybolt stale-monitor": {failing, at(2 * time.Minute), at(time.Hour)},
		"1 stale monitor at work, last pass 25s ago on host-1, pid 7":                                    {at(25 * time.Second), at(time.Hour)},
		"2 stale monitors at work, last pass 3s ago on host-1, pid 7":                                    {at(4 * time.Second), at(3 * time.Second)},
	} {
		if got := watchedBy(job.MonitorStale, passes, now, 5*time.Second); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
