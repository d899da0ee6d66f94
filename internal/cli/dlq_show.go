package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/directorybolt/directorybolt/internal/deadletter"
	"github.com/directorybolt/directorybolt/internal/job"
)

type dlqShowCmd struct {
	ID string `arg:"" name:"id" help:"Id of the job, or of the letter."`
}

// Help shows how it is typed.
func (dlqShowCmd) Help() string {
	return examples("directorybolt dlq show 01932f6c-…", "directorybolt dlq show 01932f6c-… --json | jq .cause")
}

// letterShown is a letter with what to do next.
type letterShown struct {
	job.Letter
	Group   string       `json:"group"`
	Next    string       `json:"next_step,omitempty"`
	Earlier []job.Letter `json:"earlier,omitempty"` // of the same job, newest first
}

// Run prints the letter.
func (c dlqShowCmd) Run(ctx context.Context, a *app) error {
	id, err := parseID("a job", c.ID)
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s backend) error {
		show, err := c.find(ctx, s, id)
		if err != nil {
			return err
		}
		if a.JSON {
			return a.object(show)
		}
		return table(a.stdout, []string{"letter", show.ID.String()}, show.rows())
	})
}

func (dlqShowCmd) find(ctx context.Context, s backend, id job.ID) (show letterShown, err error) {
	l, err := letterNamed(ctx, s, id)
	if err != nil {
		return show, err
	}
	show = letterShown{Letter: l, Group: l.GroupID()}
	if l.Open() {
		show.Next = deadletter.NextStep(l)
	}
	if l.JobID != (job.ID{}) {
		all, err := s.Letters(ctx, job.LetterFilter{Job: l.JobID, Decided: true, Canaries: true, Before: l.ID})
		if err != nil {
			return show, err
		}
		show.Earlier = all
	}
	return show, nil
}

func (s letterShown) rows() [][]string {
	rows := [][]string{
		{"job", idOrNone(s.JobID)},
		{"kind", s.Kind},
		{"customer", idOrNone(s.CustomerID)},
		{"value", dollars(s.ValueCents)},
		{"died", stamp(s.At)},
		{"cause", s.Cause},
		{"class", s.Class},
		{"signature", s.Signature},
		{"group", s.Group},
		{"attempts", strconv.Itoa(s.Attempts)},
		{"redrives", strconv.Itoa(s.Redrives)},
		{"directories", directoriesOf(s.Letter)},
		{"fate", string(s.Fate)},
		{"by", s.By.Actor},
		{"reason", s.By.Reason},
		{"redriven", stamp(s.RedrivenAt)},
		{"resolved", stamp(s.ResolvedAt)},
		{"message", s.message()},
		{"body", cut(plain(string(s.Body)), 200)},
	}
	for _, e := range s.Earlier {
		rows = append(rows, []string{"earlier", fmt.Sprintf("%s %s: %s", stamp(e.At), e.Fate, cut(plain(e.Cause), 80))})
	}
	return withoutBlank(append(rows, []string{"next", s.Next}))
}

// message says what the dead letter queue has of it.
func (s letterShown) message() string {
	if s.MessageID == "" {
		return ""
	}
	text := fmt.Sprintf("%s, received %s, looks included", s.MessageID, count(s.Receives, "time"))
	if !s.ExpiresAt.IsZero() {
		text += ", deleted by the queue at " + stamp(s.ExpiresAt)
	}
	return text
}
