package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/directorybolt/directorybolt/internal/job"
)

// answer says why the job is where it is, what to do about it, and, when it ran
// more than once, why.
func (f facts) answer() []reason {
	var rs []reason
	switch f.job.State {
	case job.Pending:
		rs = f.waiting()
	case job.InProgress:
		rs = f.running()
	case job.Failed:
		rs = f.failed()
	case job.Completed:
		rs = []reason{{Code: "completed", Text: fmt.Sprintf("It was completed at %s by %s.", stamp(f.job.FinishedAt), f.named(f.job.WorkerID))}}
	case job.Cancelled:
		rs = f.cancelled()
	}
	return append(append(rs, f.orphaned()...), f.reruns()...)
}

// orphaned tells what about the job nobody would come to by himself.
func (f facts) orphaned() []reason {
	var rs []reason
	for _, o := range f.orphans {
		do, then := "", ""
		switch o.Kind {
		case job.OrphanUnclaimed:
			then = "Their logs say why; restart one"
		case job.OrphanUnhinted:
			then = "The stale monitor sends another"
		case job.OrphanUndecided:
			then = "The stale monitor leaves it to a person, as uncertain"
		case job.OrphanUnbalanced:
			do = "directorybolt jobs results " + f.job.ID.String()
			then = "See: " + do
		}
		text := o.Text()
		rs = append(rs, reason{Code: o.Kind, Do: do, Text: strings.ToUpper(text[:1]) + text[1:] + ". " + then})
	}
	return rs
}

// waiting tells everything that keeps a pending job from running, all at once: who
// removes one obstacle should know of the next.
func (f facts) waiting() []reason {
	var rs []reason
	for _, p := range f.pauses {
		if p.Scope.Covers(f.job) {
			rs = append(rs, paused(p))
		}
	}
	if f.job.DueAt.After(f.now) {
		rs = append(rs, f.dueLater())
	}
	rs = append(rs, f.workless()...)
	if f.job.Quarantined {
		rs = append(rs, reason{Code: "quarantined", Text: fmt.Sprintf(
			"It is quarantined after %d crashes: it waits for a worker that runs nothing else, and runs there alone.", f.job.Crashes)})
	}
	switch {
	case len(rs) > 0:
	case f.ahead >= job.MostAhead:
		rs = append(rs, reason{Code: "behind", Text: fmt.Sprintf("It waits its turn: at least %s come before it.", count(f.ahead, "job"))})
	case f.ahead > 0:
		rs = append(rs, reason{Code: "behind", Text: fmt.Sprintf(
			"It waits its turn: %s come before it, more urgent or longer due. Every tenth claim takes the oldest.", count(f.ahead, "job"))})
	default:
		rs = append(rs, reason{Code: "next", Text: "It is next: nothing keeps it from being claimed. If it stays so, every slot of the workers is taken."})
	}
	return rs
}

func paused(p job.Pause) reason {
	what, flag := "Everything is", "--all"
	switch {
	case p.Scope.Kind != "":
		what, flag = "Jobs of kind "+p.Scope.Kind+" are", "--kind "+p.Scope.Kind
	case !p.Scope.All:
		what, flag = "The customer's jobs are", "--customer "+p.Scope.Customer.String()
	}
	do := "directorybolt jobs resume " + flag
	return reason{Code: "paused", Do: do, Text: fmt.Sprintf("%s paused since %s by %s%s. End it with: %s",
		what, stamp(p.At), p.By.Actor, because(p.By.Reason), do)}
}

// because is a reason that a person or a site gave, if any.
func because(text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return ""
	}
	return ": " + strings.TrimRight(cut(plain(text), 200), ".")
}

// dueLater tells until when the job waits, and what made it.
func (f facts) dueLater() reason {
	until := fmt.Sprintf("until %s, in %s", stamp(f.job.DueAt), span(f.job.DueAt.Sub(f.now)))
	e, _ := f.last(job.EventJobRetried, job.EventJobSnoozed, job.EventJobRecovered, job.EventJobReleased)
	switch e.Type {
	case job.EventJobRetried:
		return reason{Code: "backoff", Text: fmt.Sprintf("It failed %d of %d times and waits out its backoff %s; last%s.",
			f.job.Failures, f.job.MaxAttempts, until, cmp.Or(because(e.Cause), " without a cause"))}
	case job.EventJobSnoozed:
		return reason{Code: "snoozed", Text: fmt.Sprintf("It has nothing to do %s%s.", until, because(e.Cause))}
	case job.EventJobRecovered:
		return reason{Code: "backoff", Text: fmt.Sprintf("It was taken back %s, the last time because %s, and waits %s.",
			count(f.job.Crashes, "time"), inWords(e.Cause), until)}
	}
	return reason{Code: "not_due", Text: fmt.Sprintf("It was placed to wait %s.", until)}
}

// last is the latest event of these types.
func (f facts) last(types ...string) (job.Event, bool) {
	for _, e := range slices.Backward(f.story) {
		if slices.Contains(types, e.Type) {
			return e, true
		}
	}
	return job.Event{}, false
}

// workless tells that nobody could perform the job.
func (f facts) workless() []reason {
	kinds := f.liveKinds()
	switch {
	case len(f.alive()) == 0:
		return []reason{{Code: "no_worker", Do: "directorybolt work", Text: "No worker is alive. Start one with: directorybolt work, or directorybolt all"}}
	case !slices.Contains(kinds, f.job.Kind):
		return []reason{{Code: "no_worker", Text: fmt.Sprintf("No live worker performs jobs of kind %s; those alive perform %s. A worker of another version may know it.",
			f.job.Kind, strings.Join(kinds, ", "))}}
	}
	return nil
}

func (f facts) running() []reason {
	owner, known := f.worker(f.job.WorkerID)
	still := f.now.Sub(f.job.ProgressAt)
	rs := []reason{{Code: "running", Text: fmt.Sprintf("It is in the hands of %s since %s, attempt %d; it last got further %s ago.",
		f.named(f.job.WorkerID), stamp(f.job.ClaimedAt), f.job.Attempt, span(still))}}
	why := ""
	switch {
	case !known:
		why = "nobody knows that worker any more"
	case !owner.RetiredAt.IsZero():
		why = fmt.Sprintf("that worker was retired at %s because %s", stamp(owner.RetiredAt), inWords(owner.RetiredCause))
	case !owner.LeaseUntil.After(f.now):
		why = fmt.Sprintf("that worker's lease is over since %s", stamp(owner.LeaseUntil))
	case still > f.stallAfter:
		why = fmt.Sprintf("it makes no progress for longer than %s", span(f.stallAfter))
	default:
		return rs
	}
	do := "directorybolt stale recover --job " + f.job.ID.String()
	if f.storm.Open() && known && owner.RetiredAt.IsZero() {
		return append(rs, reason{Code: "storm", Do: do, Text: fmt.Sprintf("It is stuck: %s, but %s. Who knows better: %s", why, stormy(f.storm, f.now), do)})
	}
	return append(rs, reason{Code: "stale", Do: do, Text: fmt.Sprintf(
		"It is stuck: %s. The stale monitor takes it back; if none runs: %s", why, do)})
}

// named is a worker by its id and, where it is remembered, its place.
func (f facts) named(id job.ID) string {
	w, known := f.worker(id)
	if !known {
		return "worker " + id.String()
	}
	return fmt.Sprintf("worker %s (%s, pid %d)", id, w.Host, w.PID)
}

func (f facts) failed() []reason {
	j := f.job
	spent := "no retry could mend it"
	switch {
	case j.Crashes >= j.CrashBudget:
		spent = fmt.Sprintf("its budget of %d crashes is spent", j.CrashBudget)
	case j.Failures >= j.MaxAttempts:
		spent = fmt.Sprintf("its budget of %d attempts is spent", j.MaxAttempts)
	}
	do := fmt.Sprintf("directorybolt jobs redrive %s --reason …", j.ID)
	return []reason{{Code: "failed", Do: do, Text: fmt.Sprintf("It failed for good at %s, for %s%s. When the cause is gone: %s",
		stamp(j.FinishedAt), spent, because(cmp.Or(j.Cause, j.Class)), do)}}
}

func (f facts) cancelled() []reason {
	e, _ := f.last(job.EventJobCancelled)
	return []reason{{Code: "cancelled", Text: fmt.Sprintf("It was cancelled at %s by %s%s.", stamp(f.job.FinishedAt), cmp.Or(e.Actor, job.ActorSystem), because(e.Cause))}}
}

// reruns tells why one claim was not enough. What a directory received already it
// does not get again, whatever is told here.
func (f facts) reruns() []reason {
	if f.job.Fence < 2 {
		return nil
	}
	rs := []reason{{Code: "ran_again", Text: fmt.Sprintf("It was claimed %d times:", f.job.Fence)}}
	for _, e := range f.story {
		if text := ending(e); text != "" {
			rs = append(rs, reason{Code: e.Type, Text: fmt.Sprintf("- claim %d, %s: %s.", e.Fence, stamp(e.At), text)})
		}
	}
	return rs
}

// ending says how one claim ended other than by success, or why there was one more.
func ending(e job.Event) string {
	switch e.Type {
	case job.EventJobRecovered:
		return "taken back by " + e.Actor + " because " + inWords(e.Cause) + because(reasonOf(e))
	case job.EventJobRetried:
		return "failed, to be tried again" + because(e.Cause)
	case job.EventJobFailed:
		return "failed for good" + because(e.Cause)
	case job.EventJobSnoozed:
		return "gave itself back until later" + because(e.Cause)
	case job.EventJobReleased:
		return "given back unharmed" + because(e.Cause)
	case job.EventJobRedriven:
		return "redriven by " + e.Actor + because(e.Cause)
	case job.EventWriteFenced:
		return "a late write of its worker was refused; nothing was changed"
	}
	return ""
}

// reasonOf is what a person said about an act whose cause is something else.
func reasonOf(e job.Event) string {
	var d struct{ Reason string }
	if json.Unmarshal(e.Detail, &d) != nil {
		return ""
	}
	return d.Reason
}

// inWords says what a cause of recovery means.
func inWords(cause string) string {
	switch cause {
	case job.RetiredLeaseExpired:
		return "its worker stopped beating (lease_expired)"
	case job.RetiredLockLost:
		return "its worker's process ended (lock_lost)"
	case job.RetiredToldToGo:
		return "its worker was told to go (told_to_go)"
	case job.RetiredStopped:
		return "its worker left in order (stopped)"
	case job.NoProgress:
		return "it made no progress (no_progress)"
	case job.NoOwner:
		return "nobody knew its worker (no_owner)"
	}
	return cmp.Or(cause, "of something unknown")
}
