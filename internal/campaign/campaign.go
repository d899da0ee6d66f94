package campaign

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// Result is what a campaign came to.
type Result struct {
	Seed  uint64        `json:"seed"`
	Took  time.Duration `json:"took_ns"`
	Lease time.Duration `json:"lease_ns"`
	Sides []Verdict     `json:"stores"`
}

// Broken counts the promises that did not hold.
func (r Result) Broken() (n int) {
	for _, v := range r.Sides {
		n += v.Broken()
	}
	return n
}

// Run performs a campaign on both stores at once. An error means that it could not be
// performed; a promise that broke is in the result.
func Run(ctx context.Context, c Config) (Result, error) {
	if err := c.Validate(); err != nil {
		return Result{}, err
	}
	began := time.Now()
	r := Result{Seed: c.Seed, Lease: c.Lease}
	var fronts []*front
	defer func() {
		for _, f := range fronts {
			f.close()
		}
	}()
	for _, side := range []struct {
		name string
		Strength
	}{{"postgres", c.Postgres}, {"sqlite", c.SQLite}} {
		if side.Workers == 0 {
			continue
		}
		f, err := openFront(ctx, c, side.name, side.Strength)
		if err != nil {
			return r, fmt.Errorf("open the front %s: %w", side.name, err)
		}
		fronts = append(fronts, f)
	}
	if err := fight(ctx, c, fronts, began); err != nil {
		return r, err
	}
	for _, f := range fronts {
		v, err := f.judge(ctx)
		if err != nil {
			return r, fmt.Errorf("judge %s: %w", f.name, err)
		}
		r.Sides = append(r.Sides, v)
	}
	r.Took = time.Since(began)
	return r, c.keep(r)
}

// fight runs all fronts and tells how far they are.
func fight(ctx context.Context, c Config, fronts []*front, began time.Time) error {
	telling, quiet := context.WithCancel(ctx)
	defer quiet()
	go func() {
		for sleep(telling, c.Every) {
			for _, f := range fronts {
				f.progress(c.Out, began)
			}
		}
	}()
	g, ctx := errgroup.WithContext(ctx)
	for _, f := range fronts {
		g.Go(func() error { return f.fight(ctx, c.Patience) })
	}
	return g.Wait()
}

// keep writes the result beside the logs.
func (c Config) keep(r Result) error {
	out, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.Dir, "result.json"), append(out, '\n'), 0o600)
}

// Print tells people what a campaign came to.
func (r Result) Print(out io.Writer) {
	fmt.Fprintf(out, "\nseed %d, lease %s, took %s\n", r.Seed, r.Lease, r.Took.Round(time.Second))
	for _, v := range r.Sides {
		v.print(out)
	}
	if n := r.Broken(); n > 0 {
		fmt.Fprintf(out, "\n%d PROMISES BROKE\n", n)
		return
	}
	fmt.Fprintln(out, "\nevery promise held")
}

func (v Verdict) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s\n", v.Store)
	for _, c := range Classes {
		if t := v.Fault[c]; t.Struck > 0 {
			fmt.Fprintf(out, "  %-24s %6d, %d of them between an intent and its outcome\n", c, t.Struck, t.Aimed)
		}
	}
	for _, line := range []struct {
		name string
		n    int
	}{
		{"answers delayed", v.Delays}, {"  beyond patience", v.Overdue}, {"wake-ups for nothing", v.Wakes}, {"processes started", v.Processes}, {"  gave up at start", v.Unasked},
		{"orders", v.Orders}, {"  claims", v.Fences}, {"  crashes charged", v.Crashes}, {"submissions", v.Submissions}, {"  arrived", v.Arrived},
		{"  uncertain, explained", v.Uncertain}, {"  for people", v.NeedPerson}, {"stale writes refused", v.Refused},
		{"orders lost", v.Lost}, {"submissions doubled", v.Doubled}, {"stale writes accepted", v.Stale}, {"reported, not there", v.Phantom},
		{"denied, and there", v.Denied}, {"uncertain, unexplained", v.Unexplained}, {"books unbalanced", v.Unbalanced}, {"panics", v.Panics},
	} {
		fmt.Fprintf(out, "  %-24s %6d\n", line.name, line.n)
	}
	for _, e := range v.Examples {
		fmt.Fprintf(out, "  BROKEN %s\n", e)
	}
}
