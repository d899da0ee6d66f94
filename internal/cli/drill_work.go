package cli

import (
	"bufio"
	"context"
	"io"
	"os"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/bootclock"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/worker"
)

// drillWorkCmd is the worker that a drill starts. It performs canaries alone, so that
// whatever is done to it no order of a customer notices, and ends with its input: it
// does not outlive the drill. A line "shift DURATION" moves its own clock forward.
type drillWorkCmd struct {
	Name string `required:"" placeholder:"NAME" help:"What canaries for this worker alone are addressed to."`
}

// Help shows how it is typed.
func (drillWorkCmd) Help() string {
	return examples("directorybolt __drill-work --name victim")
}

// Run works until the context or the input ends.
func (c drillWorkCmd) Run(ctx context.Context, a *app) error {
	h, err := a.house()
	if err != nil {
		return err
	}
	s, err := h.open(ctx)
	return closing(s, err, func(s backend) error {
		config := h.pool(s, map[string]job.Handler{job.KindCanary: h.canaries(s, c.Name)})
		config.Rollups = nil // it is no worker of the system whose time counts
		pool, err := worker.New(config)
		if err != nil {
			return err
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		go func() {
			defer stop()
			obey(os.Stdin)
		}()
		return pool.Run(ctx)
	})
}

// obey does what the drill says, until it says no more.
func obey(in io.Reader) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if by, ok := strings.CutPrefix(lines.Text(), "shift "); ok {
			if d, err := time.ParseDuration(by); err == nil {
				bootclock.Shift(d)
			}
		}
	}
}
