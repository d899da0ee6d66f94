package acceptance

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/alert/alerttest"
	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/jackc/pgx/v5"
)

// runbookScenes are those of docs/runbook.md.
var runbookScenes = map[string]scene{
	"a frozen worker":                      {play: frozenWorker},
	"a frozen worker, and a monitor comes": {play: frozenWorker},
	"a frozen worker, and a person":        {play: takenBackByHand},
	"a post of which nobody knows":         {play: undecidedPosts},
	"nothing is as it should be":           {play: unstartable},
	"a monitor is killed":                  {play: silentMonitor},
	"orders that nobody can read":          {play: unreadableOrders},
	"a host is gone":                       {play: goneHost},
	"messages that name no job":            {play: poison},
	"the dead letter queue is gone":        {play: blind},
	"Slack's webhook is gone":              {play: silentSlack},
	"an amount was changed":                {play: changedAmount},
	"a system that serves":                 {play: serving},
	"a worker is killed":                   {on: "postgres", play: killedWorker},
	"most workers are frozen":              {play: stormOfWorkers},
	"most workers are frozen, and go on":   {play: stormThatPasses},
}

// frozenWorker is an order in the hands of a worker that is frozen.
func frozenWorker(s *stack) example {
	order, _ := s.stuck()
	return example{stands: map[string]string{"01a209a4-6999-75b0-b772-ebad4ce1e450": order.String()}}
}

// takenBackByHand is the same; when a person has taken the order back, it befalls the
// next worker too, and a monitor.
func takenBackByHand(s *stack) example {
	order, m := s.stuck()
	const (
		why   = "directorybolt why 01a209a4-6999-75b0-b772-ebad4ce1e450"
		again = "directorybolt stale recover --job 01a209a4-6999-75b0-b772-ebad4ce1e450"
	)
	return example{
		stands: map[string]string{"01a209a4-6999-75b0-b772-ebad4ce1e450": order.String(), "cli:root": operator()},
		steps: map[string]step{again: {exit: 3}, why: {first: func() {
			p := s.start("work")
			s.awaitSunk(m, 1, p)
			s.lapse(p)
			monitor := s.start("stale-monitor")
			eventually(s.t, "the monitor takes it back", func() bool { return s.job(order).Crashes == 2 })
			monitor.kill()
			s.exec("UPDATE jobs SET due_at = due_at + 60000000") // the backoff is random
		}}},
	}
}

// undecidedPosts is a cancelled order with two posts of which nobody knows what became.
func undecidedPosts(s *stack) example {
	s.unhurried()
	m := newMire(s, 0)
	s.use(m.catalog("slow-05", "slow-06"))
	p := s.start("work")
	order := s.submit(1, "starter")
	s.awaitSunk(m, 2, p)
	s.awaitPass(p, job.MonitorStale)
	p.kill()
	s.run("jobs", "cancel", order.String(), "--reason", "customer changed her mind")
	s.exec("UPDATE submissions SET effect_deadline = effect_deadline - 600000000 + 1000000 * rank")
	s.unwatched()
	return example{stands: map[string]string{"01a216c6-cbd5-700a-9aa4-f32c37660eda": order.String(), "cli:root": operator()}}
}

// unstartable are the states in which a monitor does not start, one after the other.
func unstartable(s *stack) example {
	must(s.t, os.RemoveAll(s.dataDir))
	const command = "directorybolt stale-monitor"
	return example{steps: map[string]step{
		command: {exit: 1},
		command + " #2": {exit: 1, first: func() {
			s.run("migrate", "up")
			s.exec("DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)")
		}},
		command + " #3": {exit: 1, first: func() { s.set("DATABASE_URL", "postgres://bolt:secret@127.0.0.1:1/bolt") }},
		command + " #4": {exit: 1, first: func() { s.set("DATABASE_URL", s.clerk()) }},
		"CHECK_INTERVAL_SECONDS=soon STALE_THRESHOLD_MINUTES=0 " + command: {exit: 2},
	}}
}

// clerk is a role that sees tables and, by row-level security, nothing in them.
func (s *stack) clerk() (url string) {
	s.t.Helper()
	s.url = dbtest.Postgres(s.t)
	s.set("DATABASE_URL", s.url)
	s.run("migrate", "up")
	s.exec(`DO $$ BEGIN CREATE ROLE clerk LOGIN PASSWORD 'secret'; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$`,
		"GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk", "GRANT ALL ON SCHEMA public TO clerk")
	at := strings.Index(s.url, "@")
	return "postgres://clerk:secret" + s.url[at:]
}

// silentMonitor is a stale monitor that was killed. When it is missed, one of another host
// looks: its own lookout, which might tell of it first, is not seen from here.
func silentMonitor(s *stack) example {
	p := s.start("stale-monitor")
	s.awaitPass(p, job.MonitorStale)
	p.kill()
	s.when(func() bool { return s.told(job.EventMonitorSilent) }, func() {
		another := job.MonitorPass{Monitor: job.MonitorStale, Process: job.NewID(), Host: "another", PID: 1, Every: time.Minute, Passes: 1}
		must(s.t, s.store().RecordPass(s.t.Context(), another))
	})
	return example{}
}

// unreadableOrders are orders whose payload somebody edited, ten of one customer and
// others.
func unreadableOrders(s *stack) example {
	s.unhurried()
	s.use([]byte(oneDirectory))
	s.start("work")
	monitor := s.start("dlq-monitor")
	regular := s.spoil(52, 10)
	s.awaitPass(monitor, job.MonitorDLQ)
	return example{
		stands: map[string]string{"cli:root": operator()},
		steps: map[string]step{
			`directorybolt dlq redrive --signature 13b99cff06 --canary --reason "profiles repaired"`: {exit: 4, first: s.otherFailuresMeanwhile},
			"directorybolt dlq journal --limit 2": {first: func() {
				s.run("dlq", "redrive", "--customer", regular.String(), "--reason", "second try")
			}},
		},
	}
}

// otherFailuresMeanwhile holds the letter that is redriven first back until four others
// have come.
func (s *stack) otherFailuresMeanwhile() {
	s.t.Helper()
	newest := s.letters(1)[0]
	pause := "'customer:" + newest.CustomerID.String() + "'"
	s.exec("INSERT INTO pauses (scope, at, actor, reason) VALUES (" + pause + ", 0, 'cli:test', '')")
	redriven := func() bool {
		j, err := s.store().Job(s.t.Context(), newest.JobID)
		return err == nil && j.Redrives == 1
	}
	s.when(redriven, func() {
		s.spoil(4, 0)
		s.exec("DELETE FROM pauses WHERE scope = " + pause)
	})
}

// goneHost is a dead letter of an order that may lose one process, and lost it; another
// worker is there, and nothing in its way.
func goneHost(s *stack) example {
	s.unhurried()
	s.set("CRASH_BUDGET", "1")
	s.set("SUBMIT_CONCURRENCY", "1")
	const done, bought = 14, 50
	m := newMire(s, done)
	var slugs []string
	for i := range bought {
		slugs = append(slugs, fmt.Sprintf("slow-%02d", i+1))
	}
	s.use(m.catalog(slugs...))
	p := s.start("work")
	order := s.submit(1, "starter")
	s.awaitSunk(m, 1, p)
	s.lapse(p)
	next := s.start("work")
	s.awaitFinal(order, time.Minute, next)
	m.fill()
	return example{stands: map[string]string{"01a216e1-ea7d-71ac-bede-433292ea4451": order.String()}}
}

// poison are two messages in the dead letter queue that name no job.
func poison(s *stack) example {
	s.calm()
	s.set("DATA_DIR", "data")
	emulator := s.useSQS()
	for range 2 {
		emulator.Put(s.setting("SQS_DLQ_URL"), "order 4711 please <!channel>")
	}
	s.start("dlq-monitor")
	eventually(s.t, "the messages are letters", func() bool { return len(s.letters(10)) == 2 })
	letters := s.letters(2)
	return example{
		stands: map[string]string{
			"01a216e3-adeb-74d9-8e12-530b822168b8": letters[0].ID.String(), "01a216e3-b1f0-7c52-a3c1-0d9b9f4e6a77": letters[1].ID.String(),
		},
		steps: map[string]step{
			`directorybolt dlq purge 01a216e3-b1f0-7c52-a3c1-0d9b9f4e6a77 --reason "typed by hand in the console"`: {input: "1\n"},
		},
	}
}

// blind is a dead letter queue that was deleted.
func blind(s *stack) example {
	s.calm()
	s.set("DLQ_CHECK_INTERVAL_SECONDS", "1")
	emulator := s.useSQS()
	url := s.setting("SQS_DLQ_URL")
	monitor := s.start("dlq-monitor")
	s.awaitPass(monitor, job.MonitorDLQLook)
	emulator.Delete(url)
	eventually(s.t, "the monitor notices", func() bool {
		return slices.ContainsFunc(s.passes(), func(p job.MonitorPass) bool { return p.Monitor == job.MonitorDLQLook && p.Error != "" })
	})
	return example{stands: map[string]string{"orders-dlq": url[strings.LastIndex(url, "/")+1:]}}
}

// silentSlack is Slack after somebody removed the webhook, and two dead letters of which
// it was to be told.
func silentSlack(s *stack) example {
	web := alerttest.NewWeb(s.t, nil)
	web.Answer(alerttest.Refuse, alerttest.Reply{Status: 404, Body: "no_service"})
	s.unhurried()
	s.set("SLACK_WEBHOOK_URL", web.URL+"/services/T0/B0/x")
	s.use([]byte(oneDirectory))
	all := s.start("all")
	s.spoil(1, 0)
	eventually(s.t, "Slack refuses everything", func() bool {
		all.alive()
		channels, err := s.store().Backlogs(s.t.Context())
		return err == nil && len(channels) == 1 && !channels[0].HeldAt.IsZero()
	})
	eventually(s.t, "it is told of", func() bool { return len(s.alerts()) == 2 })
	letter := s.alerts()[1]
	return example{
		stands: map[string]string{"01a21705-211e-7066-ae03-eaee10b2bc24": letter.ID.String(), "cli:ann": operator()},
		steps: map[string]step{
			"directorybolt alerts test": {exit: 1},
			"directorybolt alerts test          # with a new webhook": {
				first: func() { web.Answer(alerttest.Accept, alerttest.Reply{Status: 200, Body: "ok"}) },
				then: func(string) {
					eventually(s.t, "what waited is sent", func() bool {
						waiting, err := s.store().Undelivered(s.t.Context(), 10)
						return err == nil && len(waiting) == 0 && len(s.alerts()) == 1
					})
				},
			},
		},
	}
}

// changedAmount are three orders, one of which somebody made cheaper.
func changedAmount(s *stack) example {
	for i := range 3 {
		s.submit(i+1, "starter")
	}
	s.exec("UPDATE jobs SET value_cents = 4900 WHERE id = (SELECT min(id) FROM jobs)")
	return example{steps: map[string]step{"directorybolt audit": {exit: 5}}}
}

// serving is a system with everything in one process.
func serving(s *stack) example {
	s.unhurried()
	s.set("DATA_DIR", "data")
	s.use([]byte(oneDirectory))
	s.awaitPass(s.start("all"), job.MonitorStale)
	// The fence may be a higher one: a worker that is not the one to be struck may have
	// claimed the canary, and given it back.
	return example{stands: map[string]string{"fence 1": "fence …", "fence 2": "fence …"}}
}

// killedWorker is an order whose worker was killed in the middle of a post; another took
// it over.
func killedWorker(s *stack) example {
	s.longLease()
	m := newMire(s, 0)
	s.use(m.catalog("slow-01", "slow-02"))
	s.set("SUBMIT_CONCURRENCY", "1")
	a, b := s.start("work"), s.start("work")
	s.awaitWatched(2)
	order := s.submit(1, "starter")
	s.awaitSunk(m, 1, a)
	j, err := s.store().Job(s.t.Context(), order)
	must(s.t, err)
	owner, other := s.ownerOf(j, a, b)
	owner.kill()
	s.awaitSunk(m, 1, other)
	log := filepath.Join(s.dir, "worker.log")
	must(s.t, os.Symlink(other.log, log))
	const (
		retired = `psql "$DATABASE_URL" -c "SELECT retired_cause, count(*), max(retired_at) FROM workers WHERE retired_at > now() - interval '1 hour' GROUP BY 1 ORDER BY 1"`
		watched = `psql "$DATABASE_URL" -c "SELECT w.id, w.host, w.pid, l.pid AS session, count(n.pid) AS waiting`
	)
	host, err := os.Hostname()
	must(s.t, err)
	stands := map[string]string{"01a21703-9e2b-7ae4-b9cf-16e0afd82a10": order.String(), "cli:root": operator(), "vm": host}
	return example{
		stands: stands,
		steps: map[string]step{
			retired: {first: func() {
				m.fill()
				next := s.start("work")
				s.awaitWorkers(2)
				for _, p := range []*process{other, next} {
					p.signal(syscall.SIGTERM)
					<-p.exited
				}
			}},
			watched: {first: func() {
				s.set("DATABASE_POOLING", "transaction")
				pooled := s.start("work")
				s.awaitWorkers(1)
				stands["32632"] = strconv.Itoa(pooled.cmd.Process.Pid)
				s.set("DATABASE_POOLING", "auto")
				second := s.start("work")
				s.awaitWorkers(2)
				third := s.start("work")
				s.awaitWatched(2)
				stands["32629"], stands["326"] = strconv.Itoa(second.cmd.Process.Pid), s.session(second)
				stands["32630"], stands["343"] = strconv.Itoa(third.cmd.Process.Pid), s.session(third)
				must(s.t, os.Remove(log))
				must(s.t, os.Symlink(pooled.log, log))
			}},
		},
	}
}

// session is the one that holds the lifeline of a worker.
func (s *stack) session(p *process) string {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.url)
	must(s.t, err)
	defer conn.Close(context.Background())
	var pid string
	must(s.t, conn.QueryRow(s.t.Context(), `SELECT l.pid::text
		  FROM workers AS w
		  JOIN pg_locks AS l ON l.locktype = 'advisory' AND l.mode = 'ExclusiveLock' AND l.granted
		   AND l.classid::bigint << 32 | l.objid::bigint = hashtextextended(w.id::text, 0)
		 WHERE w.pid = $1 AND w.retired_at IS NULL`, p.cmd.Process.Pid).Scan(&pid))
	return pid
}

// stormOfWorkers are five workers that fell silent at once; two have an order.
func stormOfWorkers(s *stack) example {
	s.storm("5")
	return example{}
}

// stormThatPasses is the same; then they go on.
func stormThatPasses(s *stack) example {
	monitor, workers := s.storm("0.5")
	for _, p := range workers {
		p.signal(syscall.SIGCONT)
	}
	eventually(s.t, "the storm is over", func() bool {
		storm, err := s.store().LastStorm(s.t.Context())
		return err == nil && !storm.Open()
	})
	must(s.t, os.Symlink(monitor.log, filepath.Join(s.dir, "stale-monitor.log")))
	return example{}
}

// storm has five workers fall silent at once, two of them with an order, and a monitor
// look at them.
func (s *stack) storm(interval string) (monitor *process, workers []*process) {
	s.t.Helper()
	s.unhurried()
	s.set("HEARTBEAT", "1s")
	s.set("WORKER_CONCURRENCY", "1")
	m := newMire(s, 0)
	s.use(m.catalog("slow-01"))
	for range 5 {
		workers = append(workers, s.start("work"))
	}
	for i := range 2 {
		s.submit(i+1, "starter")
	}
	s.awaitSunk(m, 2, workers[0])
	s.awaitWorkers(len(workers))
	s.lapse(workers...)
	s.set("LEASE", "1s") // for so long they must beat again
	s.set("HEARTBEAT", "200ms")
	s.set("CHECK_INTERVAL_SECONDS", interval)
	monitor = s.start("stale-monitor")
	eventually(s.t, "the storm is open", func() bool {
		storm, err := s.store().LastStorm(s.t.Context())
		return err == nil && storm.Open()
	})
	s.awaitPass(monitor, job.MonitorStale)
	return monitor, workers
}

// stuck leaves an order in the hands of a worker that is frozen in the middle of a post.
func (s *stack) stuck() (order job.ID, m *mire) {
	s.t.Helper()
	s.unhurried()
	m = newMire(s, 0)
	s.use(m.catalog("slow-01", "slow-02"))
	s.set("SUBMIT_CONCURRENCY", "1")
	p := s.start("work")
	order = s.submit(1, "starter")
	s.awaitSunk(m, 1, p)
	s.awaitPass(p, job.MonitorStale)
	s.lapse(p)
	return order, m
}

// lapse freezes workers, whose leases are over then; nobody has looked since.
func (s *stack) lapse(workers ...*process) {
	s.t.Helper()
	for _, p := range workers {
		s.freeze(p)
	}
	// All beat for the last time at once: whoever started after another's last beat would
	// seem to have taken its place.
	const last = "(SELECT max(beat_at) FROM workers)"
	s.exec("UPDATE workers SET beat_at = " + last + ", lease_until = " + last + " WHERE retired_at IS NULL")
	s.unwatched()
}

// unwatched makes the last look of a monitor a minute old.
func (s *stack) unwatched() {
	s.t.Helper()
	s.exec("UPDATE monitor_passes SET at = at - 60000000, good_at = good_at - 60000000")
}

// spoil leaves n letters of orders that no worker can read, the first of one customer
// and the others of one each. It returns the regular's id.
func (s *stack) spoil(n, first int) (regular job.ID) {
	s.t.Helper()
	specs := make([]job.Spec, n)
	regular = job.NewID()
	for i := range specs {
		customer := regular
		if i >= first {
			customer = job.NewID()
		}
		specs[i] = job.Spec{
			ID: job.NewID(), Kind: job.KindOrder, CustomerID: customer, Package: "starter", Quota: 50, ValueCents: 14900, Delay: time.Hour,
		}
	}
	_, err := s.store().Enqueue(s.t.Context(), specs...)
	must(s.t, err)
	s.exec(`UPDATE jobs SET payload = '["edited"]', due_at = created_at WHERE state = 'pending' AND due_at > created_at + 3000000000`)
	for _, spec := range specs {
		s.awaitFinal(spec.ID, time.Minute)
	}
	return regular
}

// unhurried are the defaults, where a story must not go on by itself.
func (s *stack) unhurried() {
	for _, kv := range [][2]string{
		{"LEASE", "20s"}, {"HEARTBEAT", "5s"}, {"CHECK_INTERVAL_SECONDS", "5"}, {"CRASH_BUDGET", "3"}, {"BACKOFF_BASE", "30s"}, {"BACKOFF_CAP", "15m"},
	} {
		s.set(kv[0], kv[1])
	}
}

func (s *stack) passes() []job.MonitorPass {
	s.t.Helper()
	passes, err := s.store().MonitorPasses(s.t.Context())
	must(s.t, err)
	return passes
}

// awaitPass waits until a monitor of that process has looked well.
func (s *stack) awaitPass(p *process, monitor string) {
	s.t.Helper()
	eventually(s.t, "a pass of "+monitor, func() bool {
		p.alive()
		return slices.ContainsFunc(s.passes(), func(pass job.MonitorPass) bool {
			return pass.Monitor == monitor && pass.PID == p.cmd.Process.Pid && !pass.GoodAt.IsZero()
		})
	})
}

// awaitWorkers waits until so many are there.
func (s *stack) awaitWorkers(n int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d workers are there", n), func() bool {
		workers, err := s.store().Workers(s.t.Context(), 0)
		return err == nil && len(workers) == n
	})
}

// told reports whether there is an event of that type.
func (s *stack) told(kind string) bool {
	events, err := s.store().Events(s.t.Context(), job.EventFilter{Limit: 1000})
	return err == nil && slices.ContainsFunc(events, func(e job.Event) bool { return e.Type == kind })
}

// when does something as soon as it holds, beside what is typed meanwhile.
func (s *stack) when(holds func() bool, do func()) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		for !holds() {
			select {
			case <-s.t.Context().Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
		do()
	}()
	s.t.Cleanup(func() { <-over })
}

// letters are the open ones, the newest first.
func (s *stack) letters(limit int) []job.Letter {
	s.t.Helper()
	letters, err := s.store().Letters(s.t.Context(), job.LetterFilter{Limit: limit})
	must(s.t, err)
	return letters
}

func (s *stack) alerts() []alert.Alert {
	s.t.Helper()
	alerts, err := s.store().Alerts(s.t.Context(), alert.Filter{Limit: 100})
	must(s.t, err)
	return alerts
}

// setting is what the installation has set.
func (s *stack) setting(name string) (value string) {
	for _, kv := range s.env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			value = v
		}
	}
	return value
}

// operator is who types the commands, as the history has it.
func operator() string {
	u, err := user.Current()
	if err != nil {
		return "cli:unknown"
	}
	return "cli:" + u.Username
}
