package main

import (
	"fmt"
	"slices"
	"time"
)

// options are the flags.
type options struct {
	parts, stores []string
	rounds        int
	repeats       int
	foreign       float64
	patience      time.Duration
	drain         int
	drainSQLite   int
	finished      int
	stale         []int
	window        time.Duration
	starts        int
	kills         int
	killsTuned    int
	killsRiver    int
	tune          bool
	river         riverSetting
	tmp           string
	profiles      string
}

// contender is one column: a side at a setting.
type contender struct {
	Name     string `json:"name"`
	Task     task   `json:"task"`
	finished int    // jobs of ours that finished before, in a database that is kept for all rounds
}

// series is one table: contenders that do the same thing in alternating rounds.
type series struct {
	Part       string      `json:"part"`
	Title      string      `json:"title"`
	Contenders []contender `json:"contenders"`
	Metric     string      `json:"metric"` // compared: of the first contender to each other one
	Lower      bool        `json:"lower"`  // less is better
	once       *killing
}

// ways to name the sides in tables.
const (
	nameOurs         = "DirectoryBolt"
	nameRiver        = "River, best setting"
	nameRiverDefault = "River, defaults"
)

var partNames = []string{"drain", "enqueue", "start", "backlog", "recover", "kill"}

// plan lists the series of a run in the order of their parts.
func (o options) plan(best map[string]riverSetting) (all []series) {
	for _, part := range partNames {
		if !slices.Contains(o.parts, part) {
			continue
		}
		for _, st := range o.stores {
			all = append(all, map[string]func(string, riverSetting) []series{
				"drain": o.drains, "enqueue": o.enqueues, "start": o.latencies, "backlog": o.backlogs,
				"recover": o.recoveries, "kill": o.killings,
			}[part](st, best[st])...)
		}
	}
	return all
}

func storeName(st string) string {
	if st == "postgres" {
		return "Postgres"
	}
	return "SQLite"
}

func (o options) drainJobs(st string) int {
	if st == "sqlite" {
		return o.drainSQLite
	}
	return o.drain
}

func (o options) drains(st string, best riverSetting) []series {
	jobs := o.drainJobs(st)
	t := func(side, kind string, r riverSetting) task {
		return task{Do: "drain", Side: side, Store: st, Jobs: jobs, Kind: kind, River: r}
	}
	slow := t("river", "", riverDefaults)
	slow.Jobs = max(jobs/10, 1)
	return []series{{
		Part: "drain", Title: fmt.Sprintf("Drain of %d no-op jobs, %s", jobs, storeName(st)), Metric: "jobs/s",
		Contenders: []contender{
			{Name: nameOurs, Task: t("ours", "noop", riverSetting{})},
			{Name: nameRiver, Task: t("river", "", best)},
			{Name: nameRiverDefault, Task: slow},
			{Name: nameOurs + ", claim and completion also as events", Task: t("ours", "recheck", riverSetting{})},
		},
	}}
}

func (o options) enqueues(st string, _ riverSetting) (all []series) {
	for _, way := range []struct {
		title          string
		callers, batch int
	}{{"one caller, one job a call", 1, 1}, {"eight callers, one job a call", 8, 1}, {"one caller, 1000 jobs a call", 1, 1000}} {
		t := func(side string, fast bool) task {
			return task{Do: "enqueue", Side: side, Store: st, Window: o.window, Callers: way.callers, Batch: way.batch, Fast: fast}
		}
		s := series{
			Part: "enqueue", Title: fmt.Sprintf("Enqueue, %s, %s", way.title, storeName(st)), Metric: "jobs/s",
			Contenders: []contender{{Name: nameOurs, Task: t("ours", false)}, {Name: "River", Task: t("river", false)}},
		}
		if way.batch > 1 {
			s.Contenders[1].Name = "River, InsertMany"
			s.Contenders = append(s.Contenders, contender{Name: "River, InsertManyFast", Task: t("river", true)})
		}
		all = append(all, s)
	}
	return all
}

func (o options) latencies(st string, best riverSetting) (all []series) {
	quick := riverSetting{MaxWorkers: riverDefaults.MaxWorkers, Cooldown: time.Millisecond, Poll: best.Poll}
	for _, remote := range []bool{true, false} {
		t := func(side string, r riverSetting) task {
			return task{Do: "start", Side: side, Store: st, Jobs: o.starts, Remote: remote, River: r}
		}
		where := "enqueued by the worker's own process"
		if remote {
			where = "enqueued by another process's handle"
		}
		s := series{
			Part: "start", Title: fmt.Sprintf("Insert to start on an idle system, %s, %s", where, storeName(st)), Metric: "p99, ms", Lower: true,
			Contenders: []contender{{Name: nameOurs, Task: t("ours", riverSetting{})}},
		}
		if !remote || st == "postgres" { // River's driver wants one connection to a file
			s.Contenders = append(s.Contenders,
				contender{Name: "River, FetchCooldown 1ms", Task: t("river", quick)},
				contender{Name: nameRiverDefault, Task: t("river", riverDefaults)})
		}
		all = append(all, s)
	}
	return all
}

func (o options) backlogs(st string, _ riverSetting) []series {
	t := task{Do: "drain", Side: "ours", Store: st, Jobs: o.drainJobs(st), Kind: "noop"}
	return []series{{
		Part: "backlog", Title: fmt.Sprintf("Drain of %d no-op jobs beside finished ones, %s", t.Jobs, storeName(st)), Metric: "jobs/s",
		Contenders: []contender{
			{Name: fmt.Sprintf("%s, %d finished jobs", nameOurs, o.finished), Task: t, finished: o.finished},
			{Name: nameOurs + ", empty table", Task: t},
		},
	}}
}

func (o options) recoveries(st string, _ riverSetting) (all []series) {
	for _, n := range o.stale {
		all = append(all, series{
			Part: "recover", Title: fmt.Sprintf("Recovery of %d jobs of a dead worker, %s", n, storeName(st)), Metric: "all claimable, s", Lower: true,
			Contenders: []contender{
				{Name: nameOurs, Task: task{Do: "recover", Side: "ours", Store: st, Jobs: n}},
				{Name: "River", Task: task{Do: "recover", Side: "river", Store: st, Jobs: n}},
			},
		})
	}
	return all
}

func (o options) killings(st string, _ riverSetting) (all []series) {
	add := func(name string, n int, spread time.Duration, t task) {
		if n == 0 {
			return
		}
		t.Do, t.Store = "work", st
		all = append(all, series{
			Part: "kill", Title: fmt.Sprintf("kill -9 to next attempt, %s, %s", name, storeName(st)), Metric: "p99, s", Lower: true,
			Contenders: []contender{{Name: name, Task: t}},
			once:       &killing{task: t, samples: n, spread: spread},
		})
	}
	add("DirectoryBolt at its defaults (beat 5 s, lease 20 s, check 5 s)", o.kills, 5*time.Second, task{Side: "ours"})
	add("DirectoryBolt tuned (beat 1 s, lease 3 s, check 500 ms)", o.killsTuned, time.Second,
		task{Side: "ours", Beat: time.Second, Lease: 3 * time.Second, Check: 500 * time.Millisecond})
	if st == "postgres" {
		add("River at its tightest (no job may run longer than 5 s)", o.killsRiver, time.Second, task{Side: "river", Lease: 5 * time.Second})
	}
	return all
}
