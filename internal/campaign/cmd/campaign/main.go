// Campaign breaks a fleet on Postgres and on SQLite thousands of times and tells
// whether the promises held; see docs/reliability.md.
//
//	go run ./internal/campaign/cmd/campaign -seed 1
//
// The exit status is 5 when a promise broke; then the logs are kept and named.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/directorybolt/directorybolt/internal/campaign"
)

func main() {
	campaign.BeBusy() // in the processes that saturate the processors
	os.Exit(run())
}

func run() int {
	seed := flag.Uint64("seed", 0, "of all choices; 0 draws one")
	scale := flag.Float64("scale", 1, "factor of the number of faults")
	lease := flag.Duration("lease", 500*time.Millisecond, "of the workers")
	keep := flag.String("keep", "", "keep the logs in this directory, whatever came of it")
	calm := flag.Duration("false-alarms", 0, "instead: saturate the processors and stall the databases for so long; nobody alive may be retired")
	flag.Parse()
	if flag.NArg() > 0 || *scale <= 0 || *scale > 100 {
		flag.Usage()
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *seed == 0 {
		*seed = rand.Uint64() >> 32
	}
	dir, err := directoryFor(*keep)
	if err != nil {
		return fail(err)
	}
	c := campaign.Config{
		Seed: *seed, Dir: dir, Binary: filepath.Join(dir, "directorybolt"), Lease: *lease,
		Patience: 5 * time.Minute, Out: os.Stdout, Every: 10 * time.Second,
	}
	c.Postgres, c.SQLite = campaign.Full(*scale)
	fmt.Printf("seed %d, scale %g, logs in %s\n", c.Seed, *scale, dir)
	if err := build(ctx, c.Binary); err != nil {
		return fail(err)
	}
	if *calm > 0 {
		return falseAlarms(ctx, c, *calm, *keep != "")
	}
	r, err := campaign.Run(ctx, c)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "interrupted; logs in", dir)
		return 130
	case err != nil:
		return fail(fmt.Errorf("%w; logs in %s", err, dir))
	}
	r.Print(os.Stdout)
	if r.Broken() > 0 {
		fmt.Println("the logs are in", dir)
		return 5
	}
	if *keep == "" {
		_ = os.RemoveAll(dir)
	}
	return 0
}

// falseAlarms lets everything be slow and nothing die, with the tuned settings and then
// with the defaults, half of the time each.
func falseAlarms(ctx context.Context, c campaign.Config, d time.Duration, keep bool) int {
	wrong := 0
	for _, lease := range []time.Duration{4 * time.Second, 20 * time.Second} {
		dir := filepath.Join(c.Dir, "lease-"+lease.String())
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fail(err)
		}
		calms, err := campaign.FalseAlarms(ctx, campaign.Alarms{
			Binary: c.Binary, Dir: dir, Lease: lease, Duration: d / 2, Stall: 2 * time.Second, Every: 10 * time.Second, Out: c.Out,
		})
		switch {
		case ctx.Err() != nil:
			return 130
		case err != nil:
			return fail(fmt.Errorf("%w; logs in %s", err, c.Dir))
		}
		fmt.Printf("\nlease %s, beat %s, %s of saturated processors\n", lease, lease/5, d/2)
		for _, calm := range calms {
			calm.Print(c.Out)
			wrong += calm.False()
		}
	}
	if wrong > 0 {
		fmt.Println("the logs are in", c.Dir)
		return 5
	}
	fmt.Println("no false alarm")
	if !keep {
		_ = os.RemoveAll(c.Dir)
	}
	return 0
}

func directoryFor(keep string) (string, error) {
	if keep == "" {
		return os.MkdirTemp("", "directorybolt-campaign-")
	}
	keep, err := filepath.Abs(keep)
	return keep, errors.Join(err, os.MkdirAll(keep, 0o700))
}

func build(ctx context.Context, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/directorybolt")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the binary: %w", err)
	}
	return nil
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "campaign:", err)
	return 1
}
