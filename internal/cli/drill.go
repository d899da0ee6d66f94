package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/drill"
	"github.com/directorybolt/directorybolt/internal/pgcluster"
)

// drillCmd has a command for each scenario of the room drill.
type drillCmd struct {
	Kill      drillKillCmd      `cmd:"" help:"Kill a worker with kill -9 in the middle of a canary."`
	Freeze    drillFreezeCmd    `cmd:"" help:"Stop a worker past its lease, and wake it when another has gone on."`
	Hang      drillHangCmd      `cmd:"" help:"Let a handler hang in a worker that lives."`
	DBRestart drillRestartCmd   `cmd:"" name:"db-restart" help:"Restart a database of the drill's own."`
	Partition drillPartitionCmd `cmd:"" help:"Cut a worker off from a database of the drill's own."`
	ClockJump drillClockCmd     `cmd:"" help:"Jump the clock of a database of the drill's own, and that of a worker."`
}

// anywhere are the flags of drills that may run on a system that serves.
type anywhere struct {
	Own      bool `help:"On a stack of the drill's own, even where a store is configured."`
	Postgres bool `help:"The same, on a Postgres that the drill starts; otherwise its stack has a SQLite file."`
}

// ownOnly are the flags of drills that strike the database.
type ownOnly struct {
	Own bool `help:"Needed where a store is configured, to say that the drill shall use a Postgres of its own instead."`
}

type (
	drillKillCmd      struct{ anywhere }
	drillFreezeCmd    struct{ anywhere }
	drillHangCmd      struct{ anywhere }
	drillRestartCmd   struct{ ownOnly }
	drillPartitionCmd struct{ ownOnly }
	drillClockCmd     struct{ ownOnly }
)

const whereDrillsRun = "Where a store is configured the drill runs on it: it starts two workers of its own there, which perform canaries and nothing " +
	"else, and strikes one of them. No process and no order but its own is touched. Otherwise, or with --own, it starts a small stack that it throws away. "

const whatDrillsSay = "The exit status is 5 when a promise broke. See docs/reliability.md.\n\n"

// Help shows how it is typed.
func (drillKillCmd) Help() string {
	return whereDrillsRun + whatDrillsSay + examples("directorybolt drill kill", "directorybolt drill kill --postgres", "directorybolt drill kill --json | jq .recovery_ns")
}

// Help shows how it is typed.
func (drillFreezeCmd) Help() string {
	return whereDrillsRun + "The woken worker must change nothing. " + whatDrillsSay + examples("directorybolt drill freeze", "directorybolt drill freeze --own")
}

// Help shows how it is typed.
func (drillHangCmd) Help() string {
	return whereDrillsRun + "It takes as long as STALE_THRESHOLD_MINUTES. " + whatDrillsSay + examples("directorybolt drill hang", "directorybolt drill hang --own")
}

const ownPostgres = "It starts a Postgres of its own, for which the server programs must be on this machine, and throws it away. "

// Help shows how it is typed.
func (drillRestartCmd) Help() string {
	return ownPostgres + whatDrillsSay + examples("directorybolt drill db-restart")
}

// Help shows how it is typed.
func (drillPartitionCmd) Help() string {
	return ownPostgres + "A proxy between the worker and that database lets nothing through until another worker has gone on. " + whatDrillsSay +
		examples("directorybolt drill partition")
}

// Help shows how it is typed.
func (drillClockCmd) Help() string {
	return ownPostgres + "Its clock, and none else, jumps by libfaketime (Debian: libfaketime); the clock of this machine is never touched. " + whatDrillsSay +
		examples("directorybolt drill clock-jump")
}

// Run performs the drill.
func (c drillKillCmd) Run(ctx context.Context, a *app) error { return c.run(ctx, a, drill.Kill) }

// Run performs the drill.
func (c drillFreezeCmd) Run(ctx context.Context, a *app) error { return c.run(ctx, a, drill.Freeze) }

// Run performs the drill.
func (c drillHangCmd) Run(ctx context.Context, a *app) error { return c.run(ctx, a, drill.Hang) }

// Run performs the drill.
func (c drillRestartCmd) Run(ctx context.Context, a *app) error {
	return c.run(ctx, a, drill.DatabaseRestart)
}

// Run performs the drill.
func (c drillPartitionCmd) Run(ctx context.Context, a *app) error {
	return c.run(ctx, a, drill.Partition)
}

// Run performs the drill.
func (c drillClockCmd) Run(ctx context.Context, a *app) error { return c.run(ctx, a, drill.ClockJump) }

// run performs a drill on the system that is configured, or on a stack of its own.
func (c anywhere) run(ctx context.Context, a *app, s drill.Scenario) error {
	configured, err := a.hasStore()
	if err != nil {
		return err
	}
	if configured && !c.Own && !c.Postgres {
		return a.drillHere(ctx, s)
	}
	return a.drillOwn(ctx, s, c.Postgres)
}

// run performs a drill on a Postgres of its own, unless another one may be meant.
func (c ownOnly) run(ctx context.Context, a *app, s drill.Scenario) error {
	configured, err := a.hasStore()
	if err != nil {
		return err
	}
	if configured && !c.Own {
		return usage(fmt.Errorf("drill %s: %w, and a store is configured here", s.Name, drill.ErrNotOurs), "add --own; the configured store is left alone")
	}
	return a.drillOwn(ctx, s, true)
}

// hasStore reports whether the settings lead to a store that is there.
func (a *app) hasStore() (bool, error) {
	c, err := a.settings()
	if err != nil {
		return false, err
	}
	return c.DatabaseURL != "" || present(databasePath(c)) == nil, nil
}

// drillHere performs a drill on the configured store.
func (a *app) drillHere(ctx context.Context, s drill.Scenario) error {
	return a.withStore(ctx, func(store backend) error {
		settings, err := a.settings()
		if err != nil {
			return err
		}
		stage, err := a.stageHere(settings, store)
		if err != nil {
			return err
		}
		defer stage.strike()
		return a.drill(ctx, s, stage)
	})
}

// drillOwn performs a drill on a stack that it starts and throws away.
func (a *app) drillOwn(ctx context.Context, s drill.Scenario, postgres bool) error {
	stage, err := a.stageOwn(ctx, postgres, s.Name == drill.ClockJump.Name)
	if err != nil {
		return err
	}
	defer stage.strike()
	return a.drill(ctx, s, stage)
}

// drill runs a scenario on a stage and tells what came of it.
func (a *app) drill(ctx context.Context, s drill.Scenario, on *stage) error {
	c := on.config(a, s)
	a.say("drill %s: %s", s.Name, s.What)
	a.say("on %s; lease %s, a look of the monitor every %s", on.name, c.Lease, c.Interval)
	if !a.JSON {
		c.Say = func(s drill.Step) { a.say("%8.3f s  %s", s.At.Seconds(), s.Text) }
	}
	report, err := drill.Run(ctx, c)
	switch {
	case errors.Is(err, drill.ErrUnwatched):
		return &exitError{ExitUnhealthy, err, "start one: directorybolt stale-monitor; or add --own"}
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		on.keepLogs(a)
		return err
	}
	if err := a.tellDrill(report); err != nil {
		return err
	}
	if !report.OK {
		on.keepLogs(a)
		return exitWith(ExitUnhealthy)
	}
	return nil
}

// tellDrill prints what a drill found.
func (a *app) tellDrill(r drill.Report) error {
	if a.JSON {
		return a.object(r)
	}
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	if r.Detection > 0 {
		line("detected", "after %s, by %s (%s)", millis(r.Detection), r.Detector, r.Cause)
	}
	line("recovered", "after %s", millis(r.Recovery))
	arrived, wanted := 0, 0
	for _, c := range r.Canaries {
		wanted += c.Quota
		for _, n := range c.Arrivals {
			arrived += n
		}
	}
	line("witness", "%d arrivals of %d: %d lost, %d doubled", arrived, wanted, r.Lost, r.Doubled)
	if r.StaleWrite.Tried {
		own := "none by the struck worker itself"
		if n := r.StaleWrite.ByWorker; n > 0 {
			own = fmt.Sprintf("%d by the struck worker itself, refused", n)
		}
		line("stale write", "%s; one in its name, %s", own, refusal(r.StaleWrite.Refused))
	}
	for _, promise := range r.Broken {
		line("BROKEN", "%s", promise)
	}
	if r.OK {
		line("verdict", "every promise held")
	} else {
		line("verdict", "%s", strings.ToUpper(count(len(r.Broken), "broken promise")))
	}
	return a.printf("%s", b.String())
}

func refusal(refused bool) string {
	if refused {
		return "refused"
	}
	return "ACCEPTED"
}

func millis(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// needsPostgres adds what to do about a drill that cannot have its Postgres.
func needsPostgres(err error) error {
	if errors.Is(err, pgcluster.ErrMissing) {
		return remedied(err, "install them, on Debian: apt-get install postgresql")
	}
	return err
}
