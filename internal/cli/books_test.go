package cli

import (
	"testing"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

func TestBooksBalanceWhenEveryDirectoryBoughtIsAccountedFor(t *testing.T) {
	sub := func(s directory.SubmissionState) directory.Submission { return directory.Submission{State: s} }
	replaced := directory.Submission{State: directory.FailedState, Replaced: true}
	for _, c := range []struct {
		name     string
		quota    int
		short    int
		subs     []directory.Submission
		balanced bool
		text     string
	}{
		{"all done", 2, 0, []directory.Submission{sub(directory.Submitted), sub(directory.NeedsAction)}, true,
			"2 = 1 submitted + 1 needs_action"},
		{"replaced", 1, 0, []directory.Submission{replaced, sub(directory.Submitted)}, true,
			"1 = 1 submitted + 1 failed − 1 replaced"},
		{"shortfall", 3, 2, []directory.Submission{sub(directory.Submitted)}, true, "3 = 1 submitted + 2 shortfall"},
		{"nothing fits", 3, 3, nil, true, "3 = 3 shortfall"},
		{"one is lost", 2, 0, []directory.Submission{sub(directory.Submitted)}, false, "2 ≠ 1 submitted"},
		{"nothing planned yet", 5, 0, nil, false, "5 not planned yet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := booksOf(c.subs, job.Job{Quota: c.quota, Shortfall: c.short})
			if b.balanced() != c.balanced || b.String() != c.text {
				t.Errorf("%v %q, want %v %q", b.balanced(), b, c.balanced, c.text)
			}
		})
	}
}

func TestAnOrderWithWorkLeftOverExitsPartly(t *testing.T) {
	replaced := directory.Submission{State: directory.FailedState, Replaced: true}
	submitted := directory.Submission{State: directory.Submitted}
	for _, c := range []struct {
		name string
		job  job.Job
		subs []directory.Submission
		want int
	}{
		{"completed", job.Job{State: job.Completed, Quota: 1}, []directory.Submission{replaced, submitted}, ExitOK},
		{"a person is needed", job.Job{State: job.Completed, Quota: 1}, []directory.Submission{{State: directory.NeedsAction}}, ExitOK},
		{"one failed", job.Job{State: job.Completed, Quota: 2}, []directory.Submission{submitted, {State: directory.FailedState}}, ExitPartly},
		{"one uncertain", job.Job{State: job.Completed, Quota: 2}, []directory.Submission{submitted, {State: directory.Uncertain}}, ExitPartly},
		{"short", job.Job{State: job.Completed, Quota: 2, Shortfall: 1}, []directory.Submission{submitted}, ExitPartly},
		{"failed", job.Job{State: job.Failed, Quota: 1}, []directory.Submission{submitted}, ExitFailure},
		{"cancelled", job.Job{State: job.Cancelled, Quota: 1}, nil, ExitFailure},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := newOrderReport(c.job, c.subs).status(); got != c.want {
				t.Errorf("status %d, want %d", got, c.want)
			}
		})
	}
}
