package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// bencher runs the series.
type bencher struct {
	options
	server *cluster
	report *report
	kept   map[string]database // by store, with jobs that finished before
}

// database is one of the server's, or a file.
type database struct {
	url  string
	drop func() error
}

// run measures everything that was asked for. On an error, the report has what was
// measured before it.
func (b *bencher) run(ctx context.Context) (*report, error) {
	b.report = &report{
		Begun: time.Now().UTC().Truncate(time.Second), Machine: machine(), Load: loadAverage(), Rounds: b.rounds,
		Foreign: b.foreign, River: riverVersion(), Best: map[string]riverSetting{},
	}
	var err error
	if b.server, err = startCluster(ctx, b.tmp, b.profiles != ""); err != nil {
		return nil, err
	}
	defer b.server.Close()
	if b.report.Server, err = b.server.version(ctx); err != nil {
		return nil, err
	}
	b.kept = map[string]database{}
	for _, st := range b.stores {
		if b.report.Best[st], err = b.bestRiver(ctx, st); err != nil {
			return nil, err
		}
	}
	plan := b.plan(b.report.Best)
	for i, s := range plan {
		b.say("%d of %d, after %s: %s", i+1, len(plan), time.Since(b.report.Begun).Round(time.Second), s.Title)
		if err := b.runSeries(ctx, s); err != nil {
			return b.report, fmt.Errorf("%s: %w", s.Title, err)
		}
	}
	return b.report, nil
}

// bestRiver finds the setting at which River drains fastest. Its batch completer
// has no public setting.
func (b *bencher) bestRiver(ctx context.Context, st string) (best riverSetting, err error) {
	if !b.tune || b.alone || !slices.Contains(b.parts, "drain") {
		return b.river, nil
	}
	fastest := 0.0
	for _, workers := range []int{100, 500, 2000, 10000} {
		for _, cooldown := range []time.Duration{time.Millisecond, 20 * time.Millisecond} {
			setting := riverSetting{workers, cooldown, b.river.Poll}
			r, err := b.sample(ctx, contender{Task: task{
				Do: "drain", Side: "river", Store: st, Jobs: max(b.drainJobs(st)/2, 1), River: setting,
			}}, "")
			if err != nil {
				return best, fmt.Errorf("tune River: %w", err)
			}
			b.say("tune River on %s: %s: %s jobs/s", storeName(st), setting, number(r.Metrics["jobs/s"]))
			b.report.Tuning = append(b.report.Tuning, tuning{st, setting, r.Metrics["jobs/s"]})
			if rate := r.Metrics["jobs/s"]; rate > fastest {
				fastest, best = rate, setting
			}
		}
	}
	return best, nil
}

func (b *bencher) runSeries(ctx context.Context, s series) error {
	f := &finding{series: s}
	b.report.Findings = append(b.report.Findings, f)
	if s.once != nil {
		return b.runKills(ctx, s, f)
	}
	defer b.dropKept()
	for n := range s.Contenders {
		if err := b.keep(ctx, s.Contenders[n]); err != nil {
			return err
		}
	}
	for n := range b.rounds {
		for try := 0; ; try++ {
			r, err := b.round(ctx, s, n, try)
			if err != nil {
				return err
			}
			r.Disturbed = r.worst() > b.foreign
			f.Rounds = append(f.Rounds, r)
			b.say("  round %d: %s", n+1, r.summary(s))
			if !r.Disturbed || try >= b.repeats {
				break
			}
		}
	}
	return nil
}

// round is one sample of each contender. Who begins changes from round to round.
func (b *bencher) round(ctx context.Context, s series, n, try int) (*round, error) {
	r := &round{Number: n + 1, Quiet: awaitQuiet(ctx, b.foreign, b.patience), Load: loadAverage(), Results: make([]result, len(s.Contenders))}
	for i := range s.Contenders {
		i = (i + n) % len(s.Contenders)
		name := ""
		if b.profiles != "" && n == 0 && try == 0 && s.Contenders[i].Task.Side == "ours" {
			name = filepath.Join(b.profiles, fileName(s.Title+" "+s.Contenders[i].Name))
		}
		var err error
		if r.Results[i], err = b.sample(ctx, s.Contenders[i], name); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func fileName(title string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return '_'
	}, title)
}

// sample runs one sample on a fresh database, or on the one that is kept.
func (b *bencher) sample(ctx context.Context, c contender, profile string) (r result, err error) {
	t := c.Task
	db := b.kept[t.Store]
	if c.finished == 0 {
		if db, err = b.database(ctx, t.Store); err != nil {
			return r, err
		}
		defer func() { _ = db.drop() }()
	}
	t.URL = db.url
	if t.Store == "postgres" {
		t.Postmaster = b.server.cmd.Process.Pid
	}
	if profile == "" {
		return perform(ctx, t)
	}
	t.Profile = profile + ".pprof"
	if t.Store != "postgres" {
		return perform(ctx, t)
	}
	if err := execute(ctx, t.URL, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements", "SELECT pg_stat_statements_reset()"); err != nil {
		return r, err
	}
	if r, err = perform(ctx, t); err != nil {
		return r, err
	}
	return r, saveStatements(ctx, t.URL, profile+".statements.txt")
}

func (b *bencher) database(ctx context.Context, st string) (database, error) {
	if st == "postgres" {
		url, err := b.server.createDatabase(ctx)
		return database{url, func() error { return b.server.dropDatabase(url) }}, err
	}
	dir, err := os.MkdirTemp(b.server.dir, "sqlite-") // the guard removes it whatever happens
	return database{filepath.Join(dir, "bench.db"), func() error { return os.RemoveAll(dir) }}, err
}

// keep prepares the database of a contender that has finished jobs.
func (b *bencher) keep(ctx context.Context, c contender) error {
	if c.finished == 0 {
		return nil
	}
	db, err := b.database(ctx, c.Task.Store)
	if err != nil {
		return err
	}
	b.kept[c.Task.Store] = db
	_, err = perform(ctx, task{Do: "finish", Side: "ours", Store: c.Task.Store, URL: db.url, Jobs: c.finished})
	return err
}

func (b *bencher) dropKept() {
	for st, db := range b.kept {
		_ = db.drop()
		delete(b.kept, st)
	}
}

func (b *bencher) runKills(ctx context.Context, s series, f *finding) error {
	r := &round{Number: 1, Quiet: awaitQuiet(ctx, b.foreign, b.patience), Load: loadAverage()}
	got, err := kills(ctx, *s.once, func() (string, func() error, error) {
		db, err := b.database(ctx, s.once.task.Store)
		return db.url, db.drop, err
	})
	if err != nil {
		return err
	}
	r.Results = []result{got}
	f.Rounds = append(f.Rounds, r)
	b.say("  %s", r.summary(s))
	return nil
}

func (b *bencher) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}

// riverVersion is the peer's, as this binary has it.
func riverVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, d := range info.Deps {
		if d.Path == "github.com/riverqueue/river" {
			return d.Version
		}
	}
	return "unknown"
}
