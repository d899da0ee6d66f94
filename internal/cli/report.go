package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/report"
)

type reportCmd struct {
	Daily   bool   `xor:"period" required:"" help:"About a day."`
	Weekly  bool   `xor:"period" required:"" help:"About seven days."`
	Monthly bool   `xor:"period" required:"" help:"About thirty days, with the revenue protected against what was promised."`
	Until   string `placeholder:"DAY" help:"Last day of it, such as 2026-11-22, whole and in UTC; else it ends now."`
	HTML    bool   `name:"html" help:"Print a page, whole in one file."`
}

// Help says what is in it.
func (reportCmd) Help() string {
	return "Everything in it was recorded: what was stuck and recovered, dead letters, refused requests, health, uptime, orders, money, " +
		"and a score from 0 to 100 with the evidence of each part. What was not recorded is not known and in no score.\n\n" +
		examples("directorybolt report --weekly", "directorybolt report --daily --until 2026-11-22", "directorybolt report --monthly --html > report.html")
}

// Run prints the report.
func (c reportCmd) Run(ctx context.Context, a *app) error {
	if c.HTML && a.JSON {
		return usage(errors.New("--html and --json are two forms"), "choose one")
	}
	settings, err := a.settings()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s backend) error {
		p, err := c.period(ctx, s)
		if err != nil {
			return err
		}
		r, err := report.Make(ctx, s, report.Config{
			Stall: settings.StallAfter(),
			Every: map[string]time.Duration{
				job.MonitorStale: settings.LivenessInterval(), job.MonitorDLQ: settings.DLQCheckInterval, job.MonitorBooks: time.Minute,
			},
		}, p)
		switch {
		case err != nil:
			return err
		case a.JSON:
			return a.object(r)
		case c.HTML:
			return r.WriteHTML(a.stdout)
		}
		return r.WriteText(a.stdout)
	})
}

// period is what the report is about.
func (c reportCmd) period(ctx context.Context, s backend) (report.Period, error) {
	name := report.Daily
	switch {
	case c.Weekly:
		name = report.Weekly
	case c.Monthly:
		name = report.Monthly
	}
	to, err := s.Now(ctx)
	if err == nil && c.Until != "" {
		if to, err = time.Parse(time.DateOnly, c.Until); err != nil {
			return report.Period{}, usage(fmt.Errorf("--until %q is no day", c.Until), "such as 2026-11-22")
		}
		to = to.AddDate(0, 0, 1)
	}
	if err != nil {
		return report.Period{}, err
	}
	return report.PeriodOf(name, to)
}
