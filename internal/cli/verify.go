package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/verify"
)

type verifyCmd struct {
	URL     string        `placeholder:"URL" help:"Where the API answers. By default on this machine, at PORT."`
	Metrics []string      `placeholder:"URL" help:"Where other processes answer /metrics, whose error counters are to be zero too: workers, monitors."`
	Limit   int           `default:"100" placeholder:"N" help:"Requests a minute that a client may send; ${default} unless told."`
	Skip    []string      `placeholder:"LINE" help:"Leave lines out, by name."`
	Report  string        `type:"path" placeholder:"FILE" help:"Also write the report there, as JSON; with --watch a line for each round."`
	Watch   time.Duration `placeholder:"TIME" help:"Afterwards repeat what is cheap for so long, such as 24h."`
	Every   time.Duration `default:"1m" placeholder:"TIME" help:"How often, with --watch; ${default} unless told."`
}

// Help shows how it is typed.
func (verifyCmd) Help() string {
	return "It proves that a running system works, line by line: migrations, monitors, workers, health, the rate limit, the page, a canary order, " +
		"a worker that is killed, a dead letter that reaches people and is redriven, the books, error counters. It needs the settings of the system, for it looks into the store. " +
		"Canaries carry no money and are counted nowhere; the killed worker is its own; the limit is tried with a key that is made and revoked for it. " +
		"The exit status is 5 when a line fails.\n\n" +
		examples("directorybolt verify", "directorybolt verify --url https://api.example.com --report verify.json", "directorybolt verify --watch 24h --report watch.jsonl")
}

// check refuses what cannot be verified, before anything is begun.
func (c verifyCmd) check() error {
	faults := []error{checkPlace("--url", c.URL)}
	for _, place := range c.Metrics {
		faults = append(faults, checkPlace("--metrics", place))
	}
	if c.Limit < 1 {
		faults = append(faults, usage(fmt.Errorf("--limit %d is out of range", c.Limit), "give 1 or more; RATE_LIMITS of the system says how many"))
	}
	if c.Watch < 0 {
		faults = append(faults, usage(fmt.Errorf("--watch %s is no time to come", c.Watch), "give a duration such as 24h"))
	}
	if c.Every <= 0 {
		faults = append(faults, usage(fmt.Errorf("--every %s is no time between two rounds", c.Every), "give a duration such as 1m"))
	}
	return cmp.Or(faults...)
}

// Run verifies.
func (c verifyCmd) Run(ctx context.Context, a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	h, err := a.errand()
	if err != nil {
		return err
	}
	v := &verification{a: a, house: h, cmd: c, url: strings.TrimSuffix(c.URL, "/")}
	if v.url == "" {
		if urls := probed(h.config); len(urls) > 0 {
			v.url = urls[0]
		}
	}
	defer v.close()
	checks, err := c.chosen(v.checks())
	if err != nil {
		return err
	}
	a.say("verify %s, store %s", v.url, storeName(h.config))
	report, err := c.round(ctx, a, v, checks, true)
	if err != nil {
		return err
	}
	pass := report.Pass
	if c.Watch > 0 {
		watched, err := c.watch(ctx, a, v, checks)
		if err != nil {
			return err
		}
		pass = pass && watched
	}
	if !pass {
		return exitWith(ExitUnhealthy)
	}
	return nil
}

// chosen leaves out what is to be skipped.
func (c verifyCmd) chosen(all []verify.Check) ([]verify.Check, error) {
	for _, name := range c.Skip {
		if !slices.ContainsFunc(all, func(k verify.Check) bool { return k.Name == name }) {
			var names []string
			for _, k := range all {
				names = append(names, k.Name)
			}
			return nil, usage(fmt.Errorf("--skip %s: there is no such line", name), "there are: "+strings.Join(names, ", "))
		}
	}
	return slices.DeleteFunc(all, func(k verify.Check) bool { return slices.Contains(c.Skip, k.Name) }), nil
}

// round runs checks once and tells what came of them.
func (c verifyCmd) round(ctx context.Context, a *app, v *verification, checks []verify.Check, whole bool) (verify.Report, error) {
	host, _ := thisProcess()
	screen := terminalOf(a.stdout, a.getenv, a.NoColor)
	say := func(l verify.Line) {
		if !a.JSON && (whole || !l.Pass) {
			_ = a.printf("%s\n", lineOf(screen, l)) // a reader that went away needs no more lines
		}
	}
	report, err := verify.Run(ctx, checks, verify.Report{Target: v.url, By: defaultActor() + " on " + host, Version: thisBuild().Version}, say)
	if err != nil {
		return report, err
	}
	if err := c.keep(report, whole); err != nil {
		return report, err
	}
	if a.JSON {
		return report, a.object(report)
	}
	if failed := report.Failed(); len(failed) > 0 {
		a.say("%s of %d failed: %s", count(len(failed), "line"), len(report.Lines), strings.Join(failed, ", "))
	} else if whole {
		a.say("all %d lines passed", len(report.Lines))
	}
	return report, nil
}

// lineOf is a line as people read it.
func lineOf(t terminal, l verify.Line) string {
	mark := t.paint(green, "pass")
	if !l.Pass {
		mark = t.paint(red, "FAIL")
	}
	text := fmt.Sprintf("%s  %-13s  %s", mark, l.Name, l.Title)
	if l.Figure != "" {
		text += ": " + plain(l.Figure)
	}
	if !l.Pass {
		text += "\n      " + plain(l.Reason)
		if l.Remedy != "" {
			text += "\n      " + t.paint(bold, l.Remedy)
		}
	}
	return text
}

// keep writes the report file: the first run anew, each round of a watch behind it.
func (c verifyCmd) keep(r verify.Report, first bool) error {
	if c.Report == "" {
		return nil
	}
	data, err := json.Marshal(r)
	if first && c.Watch == 0 {
		data, err = json.MarshalIndent(r, "", "  ")
	}
	if err != nil {
		return err
	}
	how := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if first {
		how = os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	}
	f, err := os.OpenFile(c.Report, how, 0o644)
	if err == nil {
		_, err = f.Write(append(data, '\n'))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return remedied(fmt.Errorf("write the report %s: %w", c.Report, cause(err)), "choose another place with --report")
	}
	return nil
}

// watch repeats the cheap checks, and reports whether all rounds passed.
func (c verifyCmd) watch(ctx context.Context, a *app, v *verification, checks []verify.Check) (bool, error) {
	cheap := slices.DeleteFunc(slices.Clone(checks), func(k verify.Check) bool { return !k.Cheap })
	rounds, bad := 0, 0
	for end := time.Now().Add(c.Watch); time.Now().Add(c.Every).Before(end); {
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-time.After(c.Every):
		}
		r, err := c.round(ctx, a, v, cheap, false)
		if err != nil {
			return false, err
		}
		if rounds++; !r.Pass {
			bad++
		}
	}
	a.say("watched for %s: %s, %d of them failed", span(c.Watch), count(rounds, "round"), bad)
	return bad == 0, nil
}
