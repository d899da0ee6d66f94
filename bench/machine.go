package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of /proc's CPU times on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// meter reads CPU time: of this process, of the server, of the whole machine.
type meter struct {
	postmaster           int
	begun                time.Time
	self, server, others time.Duration
}

// startMeter begins a measured section. postmaster 0 means that there is no server.
func startMeter(postmaster int) meter {
	m := meter{postmaster: postmaster}
	m.self, m.server, m.others = readCPU(postmaster)
	m.begun = time.Now()
	return m
}

// usage is what a measured section cost.
type usage struct {
	Wall    time.Duration `json:"wall"`
	Client  time.Duration `json:"client"`  // CPU of the measuring process
	Server  time.Duration `json:"server"`  // CPU of Postgres, all its processes
	Foreign float64       `json:"foreign"` // share of the machine that others used
}

func (m meter) stop() usage {
	wall := time.Since(m.begun)
	self, server, others := readCPU(m.postmaster)
	return usage{
		Wall: wall, Client: self - m.self, Server: server - m.server,
		Foreign: max(0, float64(others-m.others)/float64(wall*time.Duration(runtime.NumCPU()))),
	}
}

// readCPU returns CPU times so far; others is all that is neither ours nor the server's.
func readCPU(postmaster int) (self, server, others time.Duration) {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	self = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	if postmaster != 0 {
		server = treeCPU(postmaster)
	}
	return self, server, busyCPU() - self - server
}

// busyCPU is the machine's CPU time that was not idle. Time stolen by the
// hypervisor counts as busy: it was not ours.
func busyCPU() time.Duration {
	data, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(data), "\n")
	var busy int64
	for i, field := range strings.Fields(line) {
		n, _ := strconv.ParseInt(field, 10, 64)
		switch i {
		case 1, 2, 3, 6, 7, 8: // user nice system irq softirq steal; 4 is idle, 5 waits for the disk
			busy += n
		}
	}
	return time.Duration(busy) * tick
}

// treeCPU is what a process, its children and the children it buried have used.
func treeCPU(root int) time.Duration {
	var sum int64
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		s := string(data)
		pid, _ := strconv.Atoi(s[:strings.IndexByte(s, ' ')])
		fields := strings.Fields(s[strings.LastIndexByte(s, ')')+1:]) // state ppid …
		ppid, _ := strconv.Atoi(fields[1])
		if pid != root && ppid != root {
			continue
		}
		times := fields[11:13] // utime stime
		if pid == root {
			times = fields[11:15] // and those of its dead children
		}
		for _, field := range times {
			n, _ := strconv.ParseInt(field, 10, 64)
			sum += n
		}
	}
	return time.Duration(sum) * tick
}

// awaitQuiet waits until others leave the machine alone, or patience ends. It
// returns their share in the last second it looked.
func awaitQuiet(ctx context.Context, limit float64, patience time.Duration) float64 {
	deadline := time.Now().Add(patience)
	for {
		m := startMeter(0)
		select {
		case <-ctx.Done():
			return 0
		case <-time.After(time.Second):
		}
		foreign := m.stop().Foreign
		if foreign <= limit || time.Now().After(deadline) {
			return foreign
		}
	}
}

func loadAverage() string {
	data, _ := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(data))
	if len(f) < 3 {
		return "unknown"
	}
	return strings.Join(f[:3], " ")
}

// machine describes where this runs, without its name.
func machine() string {
	model := "CPU"
	data, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%d × %s, %s/%s, %s", runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, runtime.Version())
}
