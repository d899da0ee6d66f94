package main

import (
	"fmt"
	"slices"
	"time"
)

// options are the flags.
type options struct {
	parts, stores  []string
	alone          bool
	rounds         int
	repeats        int
	foreign        float64
	patience       time.Duration
	drain          int
	drainSQLite    int
	finished       int
	finishedSQLite int
	stale          []int
	window         time.Duration
	starts         int
	kills          int
	killsTuned     int
	killsRiver     int
	killsWatched   int
	tune           bool
	river          riverSetting
	tmp            string
	profiles       string
}

// contender is one column: a side at a setting.
type contender struct {
	Name     string `json:"name"`
	Task     task   `json:"task"`
	finished int    // jobs of ours that finished before, in a database that is kept for all rounds
	column   column // of the summary
}

// series is one table: contenders that do the same thing in alternating rounds.
type series struct {
	Part       string      `json:"part"`
	Title      string      `json:"title"`
	Contenders []contender `json:"contenders"`
	Metric     string      `json:"metric"` // compared: of the first contender to each other one
	Lower      bool        `json:"lower"`  // less is better
	once       *killing
	rows       []row // of the summary
}

// ways to name the sides in tables.
const (
	nameOurs         = "DirectoryBolt"
	nameRiver        = "River, best setting"
	nameRiverDefault = "River, defaults"
)

var partNames = []string{"drain", "enqueue", "start", "backlog", "recover", "kill", "limits"}

// plan lists the series of a run in the order of their parts.
func (o options) plan(best map[string]riverSetting) (all []series) {
	for _, part := range partNames {
		if !slices.Contains(o.parts, part) {
			continue
		}
		for _, st := range o.stores {
			all = append(all, map[string]func(string, riverSetting) []series{
				"drain": o.drains, "enqueue": o.enqueues, "start": o.latencies, "backlog": o.backlogs,
				"recover": o.recoveries, "kill": o.killings, "limits": o.limitSeries,
			}[part](st, best[st])...)
		}
	}
	if o.alone {
		all = withoutPeers(all)
	}
	return all
}

func withoutPeers(all []series) []series {
	for i := range all {
		all[i].Contenders = slices.DeleteFunc(all[i].Contenders, func(c contender) bool { return c.Task.Side != "ours" })
	}
	return slices.DeleteFunc(all, func(s series) bool { return len(s.Contenders) == 0 })
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
			{Name: nameOurs, Task: t("ours", "noop", riverSetting{}), column: oursColumn},
			{Name: nameRiver, Task: t("river", "", best), column: bestColumn},
			{Name: nameRiverDefault, Task: slow, column: defaultColumn},
			{Name: nameOurs + ", claim and completion also as events", Task: t("ours", "recheck", riverSetting{})},
		},
		rows: []row{
			{what: "drain of no-op jobs, jobs/s", metrics: []string{"jobs/s"}, target: map[string]string{"postgres": "3 ×", "sqlite": "10 ×"}[st]},
			{what: "… CPU per job, µs, server included", metrics: []string{cpuMetric}},
		},
	}}
}

func (o options) enqueues(st string, _ riverSetting) (all []series) {
	for _, way := range []struct {
		title, target  string
		callers, batch int
	}{{"one caller, one job a call", "1.5 ×", 1, 1}, {"eight callers, one job a call", "2 ×", 8, 1}, {"one caller, 1000 jobs a call", "2 ×", 1, 1000}} {
		t := func(side string, fast bool) task {
			return task{Do: "enqueue", Side: side, Store: st, Window: o.window, Callers: way.callers, Batch: way.batch, Fast: fast}
		}
		s := series{
			Part: "enqueue", Title: fmt.Sprintf("Enqueue, %s, %s", way.title, storeName(st)), Metric: "jobs/s",
			Contenders: []contender{
				{Name: nameOurs, Task: t("ours", false), column: oursColumn},
				{Name: "River", Task: t("river", false), column: bestColumn},
			},
			rows: []row{{what: "enqueue, " + way.title + ", jobs/s", metrics: []string{"jobs/s"}}},
		}
		if st == "postgres" {
			s.rows[0].target = way.target
		}
		if way.batch > 1 {
			s.Contenders[1].Name, s.Contenders[1].column = "River, InsertMany", defaultColumn
			s.Contenders = append(s.Contenders, contender{Name: "River, InsertManyFast", Task: t("river", true), column: bestColumn})
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
		where, line := "enqueued by the worker's own process", row{what: "insert → start, same process, p50 / p99, ms"}
		if remote {
			where, line.what = "enqueued by another process's handle", "insert → start, other process, p50 / p99, ms"
		}
		line.metrics, line.target = []string{"p50, ms", "p99, ms"}, "2 / 5"
		s := series{
			Part: "start", Title: fmt.Sprintf("Insert to start on an idle system, %s, %s", where, storeName(st)), Metric: "p99, ms", Lower: true,
			Contenders: []contender{{Name: nameOurs, Task: t("ours", riverSetting{}), column: oursColumn}},
			rows:       []row{line},
		}
		if !remote || st == "postgres" { // River's driver wants one connection to a file
			s.Contenders = append(s.Contenders,
				contender{Name: "River, FetchCooldown 1ms", Task: t("river", quick), column: bestColumn})
		}
		if remote && st == "postgres" { // once is enough to show its debounce
			s.Contenders = append(s.Contenders, contender{Name: nameRiverDefault, Task: t("river", riverDefaults), column: defaultColumn})
		}
		all = append(all, s)
	}
	return all
}

func (o options) backlogs(st string, _ riverSetting) []series {
	t := task{Do: "drain", Side: "ours", Store: st, Jobs: o.drainJobs(st), Kind: "noop"}
	finished := o.finished
	if st == "sqlite" {
		finished = o.finishedSQLite
	}
	return []series{{
		Part: "backlog", Title: fmt.Sprintf("Drain of %d no-op jobs beside finished ones, %s", t.Jobs, storeName(st)), Metric: "jobs/s",
		Contenders: []contender{
			{Name: fmt.Sprintf("%s, %d finished jobs", nameOurs, finished), Task: t, finished: finished, column: oursColumn},
			{Name: nameOurs + ", empty table", Task: t},
		},
		rows: []row{{what: fmt.Sprintf("drain beside %s finished jobs, of an empty table", number(float64(finished))), metrics: []string{"jobs/s"}, target: "0.90", itself: true}},
	}}
}

func (o options) recoveries(st string, _ riverSetting) (all []series) {
	targets := map[int]string{10_000: "0.2", 100_000: map[string]string{"postgres": "2 (ship 5)", "sqlite": "5"}[st]}
	for _, n := range o.stale {
		s := series{
			Part: "recover", Title: fmt.Sprintf("Recovery of %d jobs of a dead worker, %s", n, storeName(st)), Metric: "all claimable, s", Lower: true,
			Contenders: []contender{
				{Name: nameOurs, Task: task{Do: "recover", Side: "ours", Store: st, Jobs: n}, column: oursColumn},
				{Name: "River", Task: task{Do: "recover", Side: "river", Store: st, Jobs: n}, column: bestColumn},
			},
			rows: []row{
				{what: fmt.Sprintf("%s stale jobs claimable again, s", number(float64(n))), metrics: []string{"all claimable, s"}, target: targets[n]},
				{what: "… a claim meanwhile, worst, ms", metrics: []string{"claim meanwhile, worst, ms"}, target: "100"},
			},
		}
		all = append(all, s)
	}
	return all
}

func (o options) killings(st string, _ riverSetting) (all []series) {
	add := func(name string, k killing) {
		if k.samples == 0 {
			return
		}
		k.task.Do, k.task.Store = "work", st
		all = append(all, series{
			Part: "kill", Title: fmt.Sprintf("kill -9 to next attempt, %s, %s", name, storeName(st)), Metric: "p99, s", Lower: true,
			Contenders: []contender{{Name: name, Task: k.task}},
			once:       &k,
		})
	}
	// Those that wait for a lease keep no processor busy: many wait side by side.
	add("ours at its defaults, with the death-watch", killing{
		samples: o.killsWatched, lanes: 4, spread: 500 * time.Millisecond, settle: 1500 * time.Millisecond,
		task: task{Side: "ours", Watch: true},
	})
	add("ours at its defaults, by lease alone (beat 5 s, lease 20 s, look 5 s)", killing{
		samples: o.kills, lanes: 8, spread: 5 * time.Second, task: task{Side: "ours"},
	})
	add("ours tuned, by lease alone (beat 1 s, lease 3 s, look 0.5 s)", killing{
		samples: o.killsTuned, lanes: 4, spread: time.Second,
		task: task{Side: "ours", Beat: time.Second, Lease: 3 * time.Second, Check: 500 * time.Millisecond},
	})
	if st == "postgres" {
		add("River at its tightest (no job may run longer than 5 s)", killing{
			samples: o.killsRiver, lanes: 8, spread: time.Second, task: task{Side: "river", Lease: 5 * time.Second},
		})
	}
	return all
}
