package cli

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/directorybolt/directorybolt/internal/job"
)

func TestErrorsBecomeOneSentenceAndAStatus(t *testing.T) {
	cause := errors.New("no such host")
	for _, c := range []struct {
		name   string
		err    error
		status int
		text   string
	}{
		{"none", nil, 0, ""},
		{"plain", fmt.Errorf("open the store: %w", cause), 1, "directorybolt: open the store: no such host"},
		{"with remedy", remedied(cause, "look at DATABASE_URL"), 1, "directorybolt: no such host (look at DATABASE_URL)"},
		{"usage", usage(cause, "see: --help"), 2, "directorybolt: no such host (see: --help)"},
		{"usage below another act", fmt.Errorf("submit: %w", usage(cause, "see: --help")), 2, "directorybolt: submit: no such host (see: --help)"},
		{"not found", notFound(cause, ""), 3, "directorybolt: no such host"},
		{"store says not found", fmt.Errorf("read job: %w", job.ErrNotFound), 3, "directorybolt: read job: not found"},
		{"all said", exitWith(ExitPartly), 4, ""},
		{"all well", exitWith(ExitOK), 0, ""},
		{"interrupted", context.Canceled, 130, "directorybolt: context canceled"},
		{"reader went away", fmt.Errorf("write: %w", syscall.EPIPE), 0, ""},
		{"schema", fmt.Errorf("open the store: %w", job.ErrSchema), 1, "directorybolt: open the store: schema does not match"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := statusOf(c.err); got != c.status {
				t.Errorf("status %d, want %d", got, c.status)
			}
			if got := sentence(c.err); got != c.text {
				t.Errorf("sentence %q, want %q", got, c.text)
			}
		})
	}
}
