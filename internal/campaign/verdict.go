package campaign

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// Verdict is what the witness, the books and the history say of one front.
type Verdict struct {
	Store string          `json:"store"`
	Fault map[Class]Tally `json:"faults"`

	Orders      int `json:"orders"`
	Submissions int `json:"submissions"`
	Arrived     int `json:"arrived"`    // times a directory took a business in
	Crashes     int `json:"crashes"`    // that orders were charged with
	Fences      int `json:"claims"`     // of orders
	Refused     int `json:"refused"`    // writes under a lost lease
	Wakes       int `json:"wakes"`      // for nothing
	Delays      int `json:"delays"`     // answers held up
	Overdue     int `json:"overdue"`    // of these, longer than the client waits
	Processes   int `json:"processes"`  // started
	Unasked     int `json:"unasked"`    // of these, that gave up by themselves: no database at their start
	Uncertain   int `json:"uncertain"`  // and explained: nobody can ask, or silence proves nothing
	NeedPerson  int `json:"for_people"` // needs_action

	Lost        int `json:"lost"`        // orders that are not completed
	Doubled     int `json:"doubled"`     // businesses that a directory took in more than once
	Stale       int `json:"stale"`       // writes under a lost lease that were accepted
	Phantom     int `json:"phantom"`     // reported as submitted, and not there
	Denied      int `json:"denied"`      // reported as failed or skipped, and there
	Unexplained int `json:"unexplained"` // uncertain although the directory could have been asked
	Unbalanced  int `json:"unbalanced"`  // orders whose books do not balance
	Panics      int `json:"panics"`      // of processes

	Examples []string `json:"examples,omitempty"` // of what broke, at most ten
}

// Broken counts the promises that did not hold.
func (v Verdict) Broken() int {
	return v.Lost + v.Doubled + v.Stale + v.Phantom + v.Denied + v.Unexplained + v.Unbalanced + v.Panics
}

func (v *Verdict) example(format string, args ...any) {
	if len(v.Examples) < 10 {
		v.Examples = append(v.Examples, fmt.Sprintf(format, args...))
	}
}

// judge reads what became of everything.
func (f *front) judge(ctx context.Context) (v Verdict, err error) {
	l := &f.ledger
	v = Verdict{
		Store: f.name, Fault: l.faults, Orders: len(f.placed), Wakes: int(l.wakes.Load()), Delays: int(l.delays.Load()),
		Overdue: int(l.overdue.Load()), Processes: int(l.begun.Load()), Unasked: int(l.unasked.Load()),
	}
	taken := f.arrivals(&v)
	for n, id := range f.placed {
		if err := f.judgeOrder(ctx, &v, n, id, taken); err != nil {
			return v, err
		}
	}
	return v, f.searchPanics(&v)
}

// arrivals counts what the directories took in, by directory and business.
func (f *front) arrivals(v *Verdict) map[string]map[string]int {
	taken := map[string]map[string]int{}
	for _, r := range f.web.Witness().Directories {
		taken[r.Slug] = map[string]int{}
		for _, c := range append(r.Accepted, r.Held...) {
			taken[r.Slug][c.Business]++
			v.Arrived++
		}
		for b, n := range taken[r.Slug] {
			if n > 1 {
				v.Doubled++
				v.example("%s (%s) took %s in %d times", r.Slug, r.Behaviour, b, n)
			}
		}
	}
	return taken
}

func (f *front) judgeOrder(ctx context.Context, v *Verdict, n int, id job.ID, taken map[string]map[string]int) error {
	j, err := f.store.Job(ctx, id)
	if err != nil {
		return err
	}
	subs, err := f.store.Submissions(ctx, id)
	if err != nil {
		return err
	}
	events, err := f.store.History(ctx, id)
	if err != nil {
		return err
	}
	v.Crashes, v.Fences, v.Submissions = v.Crashes+j.Crashes, v.Fences+int(j.Fence), v.Submissions+len(subs)
	if j.State != job.Completed {
		v.Lost++
		v.example("order %s (%s) is %s: %s", id, key(n), j.State, j.Cause)
	}
	f.judgeBooks(v, j, subs)
	for _, s := range subs {
		f.judgeSubmission(v, s, taken[s.Directory][key(n)], events)
	}
	judgeFences(v, id, events)
	return nil
}

// judgeBooks holds the equation of an order.
func (f *front) judgeBooks(v *Verdict, j job.Job, subs []directory.Submission) {
	replaced, open := 0, 0
	for _, s := range subs {
		if s.Replaced {
			replaced++
		}
		if s.State.Open() {
			open++
		}
	}
	if got := len(subs) - replaced + j.Shortfall; got != j.Quota || open > 0 && j.State == job.Completed {
		v.Unbalanced++
		v.example("books of order %s: %d submissions − %d replaced + shortfall %d, quota %d, %d open", j.ID, len(subs), replaced, j.Shortfall, j.Quota, open)
	}
}

// judgeSubmission holds what the ledger says against what the directory has.
func (f *front) judgeSubmission(v *Verdict, s directory.Submission, there int, events []job.Event) {
	switch s.State {
	case directory.Submitted, directory.Live:
		if there == 0 {
			v.Phantom++
			v.example("%s of order %s is %s, and the directory does not have it: %s", s.Directory, s.OrderID, s.State, f.tell(s, events))
		}
	case directory.FailedState, directory.Skipped, directory.Rejected:
		if there > 0 {
			v.Denied++
			v.example("%s of order %s is %s (%s), and the directory has it: %s", s.Directory, s.OrderID, s.State, s.Reason, f.tell(s, events))
		}
	case directory.NeedsAction:
		v.NeedPerson++
	case directory.Uncertain:
		if d := f.catalog[s.Directory]; d.Lookup != nil && d.Lookup.AbsenceIsProof {
			v.Unexplained++
			v.example("%s of order %s is uncertain although absence is proof there: %s", s.Directory, s.OrderID, s.Reason)
			return
		}
		v.Uncertain++
	}
}

// tell is all that anybody knows of a submission that broke a promise: the ledger, the
// history, and what arrived at the directory.
func (f *front) tell(s directory.Submission, events []job.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%+v", s)
	if s.Evidence != nil {
		fmt.Fprintf(&b, "\n    proof %+v", *s.Evidence)
	}
	for _, e := range events {
		if e.Directory == s.Directory || e.Directory == "" {
			fmt.Fprintf(&b, "\n    %s %s fence %d worker %s %s %s", e.At.Format(time.StampMicro), e.Type, e.Fence, e.WorkerID, e.Cause, e.Detail)
		}
	}
	if r, ok := f.web.Witness().Directory(s.Directory); ok {
		for _, p := range r.Posts {
			fmt.Fprintf(&b, "\n    %s post %s of %q %q, whole %t: %s", p.At.UTC().Format(time.StampMicro), p.Path, p.Business, p.Name, p.Complete, p.Outcome)
		}
		for _, c := range append(r.Accepted, r.Held...) {
			fmt.Fprintf(&b, "\n    %s has %q %q at %s", c.At.UTC().Format(time.StampMicro), c.Business, c.Name, c.Listing)
		}
	}
	return b.String()
}

// byWorkers are the events that a worker writes under its lease.
var byWorkers = map[string]bool{
	job.EventJobClaimed: true, job.EventJobCompleted: true, job.EventJobFailed: true, job.EventJobRetried: true, job.EventJobSnoozed: true,
	job.EventJobReleased: true, job.EventSubmissionIntent: true, job.EventSubmissionOutcome: true, job.EventSubmissionUncertain: true,
}

// judgeFences walks the history of an order: once a claim has a fence, nothing under a
// smaller one may have been written.
func judgeFences(v *Verdict, id job.ID, events []job.Event) {
	var latest int64
	for _, e := range events {
		switch {
		case e.Type == job.EventWriteFenced:
			v.Refused++
		case !byWorkers[e.Type]:
		case e.Fence < latest:
			v.Stale++
			v.example("order %s: %s under fence %d at %s, after fence %d", id, e.Type, e.Fence, e.At, latest)
		default:
			latest = e.Fence
		}
	}
}

// searchPanics looks through what the processes said.
func (f *front) searchPanics(v *Verdict) error {
	logs, err := filepath.Glob(filepath.Join(f.dir, "worker-*.log"))
	if err != nil {
		return err
	}
	for _, name := range logs {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, mark := range []string{"panic:", "fatal error:", `"panic over`} {
			if n := bytes.Count(text, []byte(mark)); n > 0 {
				v.Panics += n
				v.example("%s says %q", name, mark)
			}
		}
	}
	return nil
}
