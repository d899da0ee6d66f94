package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

type jobsShowCmd struct {
	oneJob
	Payload bool `help:"Also show what the job was given."`
}

// Help shows how it is typed.
func (jobsShowCmd) Help() string {
	return examples("directorybolt jobs show 01932f6c-…", "directorybolt jobs show 01932f6c-… --json | jq .submissions")
}

// shown is a job with how many of its directories are where.
type shown struct {
	job.Job
	Payload     json.RawMessage                   `json:"payload,omitempty"`
	Submissions map[directory.SubmissionState]int `json:"submissions,omitempty"`
	Replaced    int                               `json:"replaced,omitempty"`
}

// Run prints the job.
func (c jobsShowCmd) Run(ctx context.Context, a *app) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s backend) error {
		j, err := s.Job(ctx, id)
		if err != nil {
			return missing(id, err)
		}
		subs, err := s.Submissions(ctx, id)
		if err != nil {
			return err
		}
		b := booksOf(subs, j)
		show := shown{Job: j, Submissions: b.states, Replaced: b.replaced}
		if c.Payload {
			show.Payload = j.Payload
		}
		if a.JSON {
			return a.object(show)
		}
		return table(a.stdout, []string{"job", id.String()}, show.rows(b))
	})
}

func (s shown) rows(b orderBooks) [][]string {
	rows := [][]string{
		{"kind", s.Kind},
		{"state", string(s.State)},
		{"priority", strconv.Itoa(s.Priority)},
		{"package", s.Package},
		{"customer", idOrNone(s.CustomerID)},
		{"value", dollars(s.ValueCents)},
		{"created", stamp(s.CreatedAt)},
		{"due", stamp(s.DueAt)},
		{"claimed", stamp(s.ClaimedAt)},
		{"finished", stamp(s.FinishedAt)},
		{"worker", idOrNone(s.WorkerID)},
		{"fence", strconv.FormatInt(s.Fence, 10)},
		{"failures", fmt.Sprintf("%d of %d", s.Failures, s.MaxAttempts)},
		{"crashes", fmt.Sprintf("%d of %d", s.Crashes, s.CrashBudget)},
		{"redrives", strconv.Itoa(s.Redrives)},
		{causeLabel(s.State), s.Cause},
	}
	if b.quota > 0 {
		rows = append(rows, []string{"directories", b.String()})
	}
	if s.Payload != nil {
		rows = append(rows, []string{"payload", string(s.Payload)})
	}
	return withoutBlank(rows)
}

// causeLabel names the cause that a job keeps: why it ended so, or, where it goes
// on or got through, its last failure.
func causeLabel(s job.State) string {
	if s == job.Failed || s == job.Cancelled {
		return "cause"
	}
	return "last failure"
}

// withoutBlank drops the rows that say nothing.
func withoutBlank(rows [][]string) [][]string {
	kept := rows[:0]
	for _, r := range rows {
		if strings.TrimSpace(r[1]) != "" {
			kept = append(kept, r)
		}
	}
	return kept
}

func idOrNone(id job.ID) string {
	if id == (job.ID{}) {
		return ""
	}
	return id.String()
}
