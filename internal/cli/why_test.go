package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

func TestWhyNamesWhatKeepsAJob(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	customer, owner := job.NewID(), job.NewID()
	alive := job.Worker{ID: owner, Host: "host-1", PID: 7, Kinds: []string{job.KindOrder}, LeaseUntil: now.Add(time.Second)}
	over, retired := alive, alive
	over.LeaseUntil = now.Add(-time.Minute)
	retired.RetiredAt, retired.RetiredCause = now, job.RetiredLockLost
	pending := job.Job{ID: job.NewID(), Kind: job.KindOrder, State: job.Pending, DueAt: now, CustomerID: customer, MaxAttempts: 5, CrashBudget: 3}
	running := pending
	running.State, running.WorkerID, running.Fence, running.Attempt, running.ProgressAt = job.InProgress, owner, 1, 1, now.Add(-time.Second)
	with := func(j job.Job, change func(*job.Job)) job.Job {
		change(&j)
		return j
	}
	later := with(pending, func(j *job.Job) { j.DueAt, j.Failures, j.Crashes = now.Add(90*time.Second), 2, 2 })
	one := []job.Worker{alive}
	event := func(typ, cause string) []job.Event {
		return []job.Event{{Type: typ, Cause: cause, Actor: "cli:ann", Fence: 1, At: now}}
	}
	for name, c := range map[string]struct {
		facts facts
		codes string
		says  string
	}{
		"next":                {facts{job: pending, workers: one}, "next", "It is next"},
		"behind":              {facts{job: pending, workers: one, ahead: 3}, "behind", "3 jobs come before it"},
		"far behind":          {facts{job: pending, workers: one, ahead: job.MostAhead}, "behind", "at least 10000 jobs"},
		"no worker":           {facts{job: pending}, "no_worker", "No worker is alive"},
		"only the dead":       {facts{job: pending, workers: []job.Worker{over, retired}}, "no_worker", "No worker is alive"},
		"unknown kind":        {facts{job: with(pending, func(j *job.Job) { j.Kind = "poem" }), workers: one}, "no_worker", "of kind poem; those alive perform order"},
		"all paused":          {facts{job: pending, workers: one, pauses: []job.Pause{{Scope: job.Scope{All: true}, By: job.By{Actor: "cli:ann"}}}}, "paused", "resume --all"},
		"customer paused":     {facts{job: pending, workers: one, pauses: []job.Pause{{Scope: job.Scope{Customer: customer}}}}, "paused", "resume --customer " + customer.String()},
		"another paused":      {facts{job: pending, workers: one, pauses: []job.Pause{{Scope: job.Scope{Customer: owner}}, {Scope: job.Scope{Kind: "noop"}}}}, "next", ""},
		"backoff":             {facts{job: later, workers: one, story: event(job.EventJobRetried, "site is down")}, "backoff", "It failed 2 of 5 times and waits out its backoff until 2026-03-01 12:01:30Z, in 1m30s; last: site is down."},
		"snoozed":             {facts{job: later, workers: one, story: event(job.EventJobSnoozed, "daily cap")}, "snoozed", "daily cap"},
		"crashed before":      {facts{job: later, workers: one, story: event(job.EventJobRecovered, job.NoProgress)}, "backoff", "taken back 2 times, the last time because it made no progress"},
		"placed for later":    {facts{job: later, workers: one}, "not_due", "placed to wait until"},
		"quarantined":         {facts{job: with(pending, func(j *job.Job) { j.Quarantined, j.Crashes = true, 2 }), workers: one}, "quarantined", "after 2 crashes"},
		"everything at once":  {facts{job: later, pauses: []job.Pause{{Scope: job.Scope{All: true}}}}, "paused not_due no_worker", ""},
		"runs":                {facts{job: running, workers: one}, "running", "(host-1, pid 7)"},
		"hangs":               {facts{job: with(running, func(j *job.Job) { j.ProgressAt = now.Add(-time.Hour) }), workers: one}, "running stale", "no progress for longer than 10m00s"},
		"owner without lease": {facts{job: running, workers: []job.Worker{over}}, "running stale", "lease is over"},
		"owner retired":       {facts{job: running, workers: []job.Worker{retired}}, "running stale", "process ended (lock_lost)"},
		"owner forgotten":     {facts{job: running}, "running stale", "nobody knows that worker"},
		"nobody takes it": {facts{job: pending, workers: one, orphans: []job.Finding{{Kind: job.OrphanUnclaimed, Subject: job.KindOrder, Cause: job.UnclaimedIdle, Count: 2}}},
			"next unclaimed", "2 jobs are due and not taken, of kind order: workers are idle. Their logs say why; restart one"},
		"nobody asks": {facts{job: with(pending, func(j *job.Job) { j.State = job.Cancelled }), orphans: []job.Finding{{Kind: job.OrphanUndecided, Directory: "alpha", Cause: "cancelled"}}},
			"cancelled undecided", "Nobody will ask alpha what became of a post"},
		"sums": {facts{job: with(running, func(j *job.Job) { j.State = job.Completed }), workers: one, orphans: []job.Finding{{Kind: job.OrphanUnbalanced, Cause: "quota 3, submissions 2"}}},
			"completed unbalanced", "See: directorybolt jobs results"},
		"owner in a storm": {facts{job: running, workers: []job.Worker{over}, storm: &job.Storm{OpenedAt: now.Add(-20 * time.Second), Owners: 5, Dead: 4}}, "running storm",
			"lease is over since 2026-03-01 11:59:00Z, but a storm is open since 2026-03-01 11:59:40Z: 4 of 5 workers stopped beating at once, and nobody is retired by lease for another 40s"},
		"failed for good": {facts{job: with(pending, func(j *job.Job) { j.State, j.Cause = job.Failed, "form is gone" })}, "failed", "no retry could mend it: form is gone. When the cause is gone: directorybolt jobs redrive"},
		"attempts spent":  {facts{job: with(pending, func(j *job.Job) { j.State, j.Failures = job.Failed, 5 })}, "failed", "budget of 5 attempts"},
		"crashes spent":   {facts{job: with(pending, func(j *job.Job) { j.State, j.Crashes = job.Failed, 3 })}, "failed", "budget of 3 crashes"},
		"completed":       {facts{job: with(running, func(j *job.Job) { j.State = job.Completed }), workers: one}, "completed", "completed at"},
		"cancelled":       {facts{job: with(pending, func(j *job.Job) { j.State = job.Cancelled }), story: event(job.EventJobCancelled, "asked to")}, "cancelled", "by cli:ann: asked to"},
		"owner unknown": {facts{
			job: with(running, func(j *job.Job) { j.Fence = 2 }), workers: one, story: event(job.EventJobRecovered, job.NoOwner),
		}, "running ran_again job.recovered", "because nobody knew its worker (no_owner)"},
		"ran again": {facts{
			job: with(running, func(j *job.Job) { j.Fence = 2 }), workers: one,
			story: append(event(job.EventJobClaimed, ""), event(job.EventJobRecovered, job.RetiredLeaseExpired)...),
		}, "running ran_again job.recovered", "- claim 1, 2026-03-01 12:00:00Z: taken back by cli:ann because its worker stopped beating"},
	} {
		t.Run(name, func(t *testing.T) {
			c.facts.now, c.facts.stallAfter = now, 10*time.Minute
			var codes, texts []string
			for _, r := range c.facts.answer() {
				codes, texts = append(codes, r.Code), append(texts, r.Text)
			}
			if got := strings.Join(codes, " "); got != c.codes {
				t.Errorf("codes %q, want %q", got, c.codes)
			}
			if got := strings.Join(texts, "\n"); !strings.Contains(got, c.says) {
				t.Errorf("%q is not in:\n%s", c.says, got)
			}
		})
	}
}

func TestSpanHasTwoUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 1500 * time.Millisecond: "1s", 61 * time.Second: "1m01s", 3 * time.Hour: "3h00m", 50*time.Hour + time.Minute: "2d02h",
	} {
		if got := span(d); got != want {
			t.Errorf("%s became %q, want %q", d, got, want)
		}
	}
}
