package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"time"
)

// childCommand is the hidden argument under which this program is one sample.
const childCommand = "sample"

var quiet = slog.New(slog.DiscardHandler)

// task is what one sample process is to do.
type task struct {
	Do    string `json:"do"`    // a key of samples
	Side  string `json:"side"`  // "ours", "river", or another limiter
	Store string `json:"store"` // "postgres" or "sqlite"
	URL   string `json:"url"`   // of the database, or path of the file

	Jobs    int           `json:"jobs,omitzero"`
	Kind    string        `json:"kind,omitzero"`   // ours: the kind of job; limit: a key of loads
	Window  time.Duration `json:"window,omitzero"` // enqueue: how long
	Callers int           `json:"callers,omitzero"`
	Batch   int           `json:"batch,omitzero"`
	Fast    bool          `json:"fast,omitzero"`   // River: InsertManyFast
	Remote  bool          `json:"remote,omitzero"` // start: enqueue on a handle that the worker does not know
	River   riverSetting  `json:"river,omitzero"`
	Beat    time.Duration `json:"beat,omitzero"`
	Lease   time.Duration `json:"lease,omitzero"`
	Check   time.Duration `json:"check,omitzero"`
	Watch   bool          `json:"watch,omitzero"` // ours: the death-watch too, not the lease alone

	Postmaster int    `json:"postmaster,omitzero"` // to account the server's CPU; 0: there is none
	Profile    string `json:"profile,omitzero"`    // file for the CPU profile of the measured section
}

// riverSetting is what River lets one tune.
type riverSetting struct {
	MaxWorkers int           `json:"max_workers"`
	Cooldown   time.Duration `json:"cooldown"`
	Poll       time.Duration `json:"poll"`
}

func (r riverSetting) String() string {
	return fmt.Sprintf("MaxWorkers %d, FetchCooldown %s, FetchPollInterval %s", r.MaxWorkers, r.Cooldown, r.Poll)
}

// result is what a sample found.
type result struct {
	Metrics map[string]float64 `json:"metrics"`
	Usage   usage              `json:"usage"`
}

// samples are the things a sample process can do.
var samples = map[string]func(context.Context, task) (result, error){
	"drain":   drain,
	"enqueue": enqueue,
	"start":   insertToStart,
	"finish":  addFinished,
	"limit":   limit,
	"recover": recovery,
	"work":    work,
}

// runSample is the sample process: a task on the first line of its input, a result
// as its last line of output. The end of its input is the end of its parent, and
// its own.
func runSample() error {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read the task: %w", err)
	}
	var t task
	if err := json.Unmarshal(line, &t); err != nil {
		return fmt.Errorf("read the task: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
		time.Sleep(10 * time.Second) // it had its chance to end in order
		os.Exit(1)
	}()
	do, ok := samples[t.Do]
	if !ok {
		return fmt.Errorf("no sample is called %q", t.Do)
	}
	r, err := do(ctx, t)
	if err != nil {
		return fmt.Errorf("%s of %s on %s: %w", t.Do, t.Side, t.Store, err)
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// sampleProcess starts a sample process. Its output is the caller's to read.
func sampleProcess(ctx context.Context, t task) (cmd *exec.Cmd, in io.WriteCloser, out io.ReadCloser, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, nil, err
	}
	line, err := json.Marshal(t)
	if err != nil {
		return nil, nil, nil, err
	}
	cmd = exec.CommandContext(ctx, self, childCommand)
	cmd.Stderr = os.Stderr
	if in, err = cmd.StdinPipe(); err != nil {
		return nil, nil, nil, err
	}
	if out, err = cmd.StdoutPipe(); err != nil {
		return nil, nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, nil, fmt.Errorf("start a sample: %w", err)
	}
	if _, err := in.Write(append(line, '\n')); err != nil {
		return nil, nil, nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return cmd, in, out, nil
}

// perform runs a sample process to its end.
func perform(ctx context.Context, t task) (r result, err error) {
	cmd, in, out, err := sampleProcess(ctx, t)
	if err != nil {
		return r, err
	}
	said, readErr := io.ReadAll(out)
	_ = in.Close()
	if err := errors.Join(readErr, cmd.Wait()); err != nil {
		return r, fmt.Errorf("%s of %s on %s: %w", t.Do, t.Side, t.Store, err)
	}
	lines := bytes.Split(bytes.TrimSpace(said), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &r); err != nil {
		return r, fmt.Errorf("%s of %s on %s: read the result: %w", t.Do, t.Side, t.Store, err)
	}
	return r, nil
}

// measured runs f as the measured section of a sample.
func measured(t task, f func() error) (u usage, err error) {
	if t.Profile != "" {
		if err := os.MkdirAll(filepath.Dir(t.Profile), 0o755); err != nil {
			return u, err
		}
		file, err := os.Create(t.Profile)
		if err != nil {
			return u, err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return u, err
		}
		defer pprof.StopCPUProfile()
	}
	m := startMeter(t.Postmaster)
	err = f()
	return m.stop(), err
}
