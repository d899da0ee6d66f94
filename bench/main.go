package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == childCommand {
		exit(runSample())
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	cancel()
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context) error {
	o, md, js, err := parseFlags()
	if err != nil {
		return err
	}
	b := &bencher{options: o}
	report, runErr := b.run(ctx)
	if report == nil {
		return runErr
	}
	text := report.markdown()
	fmt.Print(text)
	if md != "" {
		runErr = errors.Join(runErr, os.WriteFile(md, []byte(text), 0o644))
	}
	if js != "" {
		data, err := json.MarshalIndent(report, "", "\t")
		runErr = errors.Join(runErr, err, os.WriteFile(js, append(data, '\n'), 0o644))
	}
	return runErr
}

// parseFlags reads the flags; md and js are files for the report.
func parseFlags() (o options, md, js string, err error) {
	var parts, stores, staleCounts string
	flag.StringVar(&parts, "parts", strings.Join(partNames, ","), "what to measure")
	flag.StringVar(&stores, "stores", "postgres,sqlite", "on which stores")
	flag.BoolVar(&o.alone, "alone", false, "measure our side only")
	flag.IntVar(&o.rounds, "rounds", 3, "samples of each side, in turn")
	flag.IntVar(&o.repeats, "repeats", 2, "how often a disturbed round is repeated")
	flag.Float64Var(&o.foreign, "foreign", 0.15, "a round is disturbed when others used more than this share of the machine")
	flag.DurationVar(&o.patience, "patience", 30*time.Second, "how long a round waits for a quiet machine")
	flag.IntVar(&o.drain, "drain", 50_000, "jobs to drain on Postgres")
	flag.IntVar(&o.drainSQLite, "drain-sqlite", 20_000, "jobs to drain on SQLite")
	flag.IntVar(&o.finished, "finished", 1_000_000, "finished jobs in the table of Postgres, for backlog")
	flag.IntVar(&o.finishedSQLite, "finished-sqlite", 1_000_000, "finished jobs in the SQLite file, for backlog")
	flag.StringVar(&staleCounts, "stale", "10000,100000", "jobs of a dead worker, for recover")
	flag.DurationVar(&o.window, "window", 3*time.Second, "length of an enqueue sample")
	flag.IntVar(&o.starts, "starts", 100, "samples of insert to start, in each round")
	flag.IntVar(&o.killsWatched, "kills-watched", 120, "kills of a worker at our defaults with the death-watch")
	flag.IntVar(&o.kills, "kills", 8, "kills of a worker at our default lease")
	flag.IntVar(&o.killsTuned, "kills-tuned", 32, "kills of a worker at our tuned lease")
	flag.IntVar(&o.killsRiver, "kills-river", 8, "kills of a River worker")
	flag.BoolVar(&o.tune, "tune", true, "look for River's best setting; else use -river-*")
	flag.IntVar(&o.river.MaxWorkers, "river-workers", 2000, "River's MaxWorkers without -tune")
	flag.DurationVar(&o.river.Cooldown, "river-cooldown", time.Millisecond, "River's FetchCooldown without -tune")
	flag.DurationVar(&o.river.Poll, "river-poll", 100*time.Millisecond, "River's FetchPollInterval")
	flag.StringVar(&o.tmp, "tmp", os.TempDir(), "directory for the databases; the disk that is measured")
	flag.StringVar(&o.profiles, "profiles", "", "directory for CPU profiles and statement statistics of our side")
	flag.StringVar(&md, "md", "", "write the tables to this file too")
	flag.StringVar(&js, "json", "", "write everything that was measured to this file")
	quickly := flag.Bool("quick", false, "a third of the time: one round of smaller samples, River as it was tuned before")
	flag.Parse()
	if *quickly {
		hurry()
	}
	if flag.NArg() > 0 {
		return o, "", "", fmt.Errorf("unknown argument %q; see -h", flag.Arg(0))
	}
	if o.parts, err = words("parts", parts, partNames); err != nil {
		return o, "", "", err
	}
	if o.stores, err = words("stores", stores, []string{"postgres", "sqlite"}); err != nil {
		return o, "", "", err
	}
	for _, s := range strings.Split(staleCounts, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return o, "", "", fmt.Errorf("-stale: %q is no number of jobs", s)
		}
		o.stale = append(o.stale, n)
	}
	if o.rounds < 1 {
		return o, "", "", errors.New("-rounds: at least one")
	}
	return o, md, js, nil
}

// quickFlags are what -quick changes where nothing else is asked for.
var quickFlags = map[string]string{
	"rounds": "1", "repeats": "1", "patience": "10s", "window": "1500ms", "starts": "60", "finished": "200000", "finished-sqlite": "200000",
	"kills": "4", "kills-tuned": "8", "kills-river": "4", "kills-watched": "40",
	"tune": "false", "river-cooldown": "20ms",
}

func hurry() {
	asked := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { asked[f.Name] = true })
	for name, value := range quickFlags {
		if !asked[name] {
			if err := flag.Set(name, value); err != nil {
				panic(err) // the map above is wrong
			}
		}
	}
}

func words(name, list string, known []string) ([]string, error) {
	got := strings.Split(list, ",")
	for _, w := range got {
		if !slices.Contains(known, w) {
			return nil, fmt.Errorf("-%s: %q is none of %s", name, w, strings.Join(known, ", "))
		}
	}
	return got, nil
}
