package sqstest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Emulator is what one emulator can.
type Emulator struct {
	Name   string
	script string

	// Counts: receives are counted right, so that a message may be held by extending it,
	// and the redrive policy moves what was received too often.
	Counts bool
	// Groups: a FIFO queue hands out one message of a group at a time.
	Groups bool
	// Moves: move tasks, and letters that tell which queue they came from.
	Moves bool
	// Policies: it knows and keeps all attributes of a queue, those about encryption and
	// about whose dead letters are taken among them.
	Policies bool
}

// Emulators are those we have. The first is the one for whatever both can.
var Emulators = []Emulator{
	{Name: "fauxqs", script: "fauxqs.mjs", Counts: true, Groups: true},
	{Name: "local-aws-sqs", script: "local-aws-sqs.mjs", Moves: true, Policies: true},
}

// Can picks the emulators that a case can run on. None is a failure.
func Can(t testing.TB, can func(Emulator) bool) []Emulator {
	t.Helper()
	var able []Emulator
	for _, e := range Emulators {
		if can(e) {
			able = append(able, e)
		}
	}
	if len(able) == 0 {
		t.Fatal("no emulator can run this case")
	}
	return able
}

// started holds the emulators that run for this test process, by name. They end when
// their input does, which is when this process is gone.
var started sync.Map

type running struct {
	once     sync.Once
	endpoint string
	err      error
	stdin    io.Closer // kept: a pipe that nobody refers to is closed
}

// Start runs the emulator, once in a test process, and returns where it listens.
// Tests share it: each makes queues of its own, see [Server.Pair].
func (e Emulator) Start(t testing.TB) *Server {
	t.Helper()
	v, _ := started.LoadOrStore(e.Name, new(running))
	r := v.(*running)
	r.once.Do(func() { r.endpoint, r.stdin, _, r.err = e.run() })
	if r.err != nil {
		t.Fatalf("start the SQS emulator %s: %v", e.Name, r.err)
	}
	return &Server{Emulator: e, Endpoint: r.endpoint, TB: t}
}

// StartOwn runs one for this test alone, which may end it. It forgets everything then.
func (e Emulator) StartOwn(t testing.TB) *Server {
	t.Helper()
	endpoint, stdin, cmd, err := e.run()
	if err != nil {
		t.Fatalf("start the SQS emulator %s: %v", e.Name, err)
	}
	s := &Server{Emulator: e, Endpoint: endpoint, TB: t, stop: sync.OnceFunc(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})}
	t.Cleanup(s.Stop)
	return s
}

// run starts a process and reads the address it prints.
func (e Emulator) run() (endpoint string, stdin io.Closer, cmd *exec.Cmd, err error) {
	dir, err := installed()
	if err != nil {
		return "", nil, nil, err
	}
	cmd = exec.Command("node", filepath.Join(dir, e.script))
	cmd.Dir = dir
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, nil, err
	}
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(out).ReadString('\n')
		line <- strings.TrimSpace(text)
	}()
	select {
	case endpoint = <-line:
	case <-time.After(time.Minute):
	}
	if endpoint == "" {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return "", nil, nil, fmt.Errorf("node %s did not come up: %s", e.script, complaints.String())
	}
	return endpoint, in, cmd, nil
}

// Environ are the settings with which a process finds it.
func (s *Server) Environ() []string {
	return append(slicesWithout(os.Environ(), "AWS_"), "AWS_ENDPOINT_URL_SQS="+s.Endpoint, "AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true")
}

func slicesWithout(env []string, prefix string) []string {
	var kept []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, prefix) {
			kept = append(kept, kv)
		}
	}
	return kept
}

// quick bounds what a test asks of an emulator on this machine.
func quick() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}
