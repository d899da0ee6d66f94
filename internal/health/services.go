package health

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
	"github.com/directorybolt/directorybolt/internal/ratelimit"
)

// Names of services.
const (
	Database     = "database"
	Migrations   = "migrations"
	Queue        = "queue"
	Workers      = "workers"
	StaleMonitor = "stale_monitor"
	DLQMonitor   = "dlq_monitor"
	DLQ          = "dlq"
	Alerts       = "alerts"
	RateLimiter  = "rate_limiter"
	Books        = "books"
)

const (
	slow        = 500 * time.Millisecond // an answer of the database
	late        = time.Minute            // of work that is due, and of hints that wait
	untoldFor   = 5 * time.Minute        // of alerts
	recently    = 5 * time.Minute        // of workers that died
	queueWithin = 1500 * time.Millisecond
	mostStale   = 1000
)

// Store is what is asked about.
type Store interface {
	Ping(ctx context.Context) error
	Now(ctx context.Context) (time.Time, error)
	Load(ctx context.Context) (job.Load, error)
	Workers(ctx context.Context, retiredWithin time.Duration) ([]job.Worker, error)
	LastStorm(ctx context.Context) (*job.Storm, error)
	FindOrphans(ctx context.Context, kind string, after time.Duration, limit int) ([]job.Finding, error)
	Findings(ctx context.Context) ([]job.Finding, error)
	MonitorPasses(ctx context.Context) ([]job.MonitorPass, error)
	LetterDepth(ctx context.Context) (job.LetterDepth, error)
	Stale(ctx context.Context, threshold time.Duration, limit int) ([]job.StaleJob, error)
	AtRisk(ctx context.Context, stall time.Duration) (job.Risk, error)
	Rollups(ctx context.Context, name string, from, to time.Time) ([]job.Rollup, error)
	Backlogs(ctx context.Context) ([]alert.Backlog, error)
}

// Installation is what there is to look at.
type Installation struct {
	Store      Store                                          // required
	Pending    func(ctx context.Context) ([]string, error)    // migrations that the database lacks; required
	Queue      func(ctx context.Context) (queue.Depth, error) // messages in the queue; nil: the database is the queue
	Limiter    func() ratelimit.Stats                         // nil: this process has none
	Channels   []string                                       // alert channels that are set; none: whatever the store knows of
	StallAfter time.Duration                                  // no progress for so long is stale
	Begun      time.Time                                      // when this process began to serve; zero: it does not
}

// Checks are those of an installation, in the order in which people read them.
func Checks(i Installation) []Check {
	checks := []Check{
		{Name: Database, Needed: true, Untold: true, Every: time.Second, Within: time.Second, Look: i.database},
		{Name: Migrations, Needed: true, Untold: true, Look: i.migrations},
		{Name: Queue, Needed: true, Untold: true, Look: i.queue(&idling{})},
		{Name: Workers, Needed: true, Look: i.workers},
		{Name: StaleMonitor, Look: i.monitor(job.MonitorStale)},
		{Name: DLQMonitor, Look: i.monitor(job.MonitorDLQ)},
		{Name: DLQ, Look: i.letters},
		{Name: Alerts, Look: i.alerts},
	}
	for n := range checks {
		switch checks[n].Name {
		case Database:
		case Migrations:
			checks[n].Asks = []string{Database}
		default:
			checks[n].Asks = []string{Database, Migrations}
		}
	}
	if i.Limiter != nil {
		checks = append(checks, Check{Name: RateLimiter, Every: time.Second / 2, Look: i.limiter})
	}
	return append(checks, Check{Name: Books, Asks: []string{Database, Migrations}, Look: i.books})
}

func (i Installation) database(ctx context.Context) (Finding, error) {
	f := Finding{Status: Up}
	begun := time.Now()
	if err := i.Store.Ping(ctx); err != nil {
		return f, err
	}
	if took := time.Since(begun); took > slow {
		f.Worse(Degraded, fmt.Sprintf("it took %s to answer", took.Round(time.Millisecond)), "look at its load and at the network between")
	}
	return f, nil
}

func (i Installation) migrations(ctx context.Context) (Finding, error) {
	f := Finding{Status: Up}
	pending, err := i.Pending(ctx)
	if err == nil && len(pending) > 0 {
		f.Worse(Down, counted(len(pending), "migration is", "migrations are")+" pending: "+strings.Join(pending, ", "), "run: directorybolt migrate up")
	}
	return f, err
}

// queue is how workers hear of work: by hints where there is a queue for them, and by
// looking into the store in any case.
func (i Installation) queue(before *idling) func(ctx context.Context) (Finding, error) {
	return func(ctx context.Context) (Finding, error) {
		f := Finding{Status: Up, Figures: map[string]float64{}}
		i.hints(ctx, &f)
		unclaimed, err := i.Store.FindOrphans(ctx, job.OrphanUnclaimed, late, 100)
		if err != nil {
			return f, err
		}
		f.Told = f.Status == Up // what follows the stale monitor tells of
		for _, u := range before.still(unclaimed) {
			f.Worse(Degraded, u.Text(), "run: directorybolt why "+u.JobID.String())
		}
		unsent, err := i.Store.FindOrphans(ctx, job.OrphanUnsent, late, 10)
		for _, u := range unsent {
			if u.Subject == job.MessageHint {
				f.Worse(Degraded, u.Text(), "a process that carries hints must run: api, work or all; its log names the queue that refuses")
			}
		}
		return f, err
	}
}

// hints asks the queue for them, where there is one.
func (i Installation) hints(ctx context.Context, f *Finding) {
	if i.Queue == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, queueWithin)
	defer cancel()
	depth, err := i.Queue(ctx)
	if err != nil {
		f.Worse(Degraded, "SQS does not answer, workers poll the database meanwhile: "+err.Error(), "run: directorybolt queue check")
		return
	}
	f.Figures["hints"] = float64(depth.Total())
}

// idling remembers which job was first in line for an idle worker. One look proves
// nothing: a worker may be between two jobs.
type idling struct{ marks map[string]string } // by kind of job

// still returns what the look before found as well. Looks come one after the other.
func (b *idling) still(found []job.Finding) (same []job.Finding) {
	marks := map[string]string{}
	for _, f := range found {
		if f.Cause != job.UnclaimedIdle {
			continue
		}
		marks[f.Subject] = f.Mark
		if before, known := b.marks[f.Subject]; known && before == f.Mark {
			same = append(same, f)
		}
	}
	b.marks = marks
	return same
}

func (i Installation) workers(ctx context.Context) (Finding, error) {
	f := Finding{Status: Up}
	now, err := i.Store.Now(ctx)
	if err != nil {
		return f, err
	}
	all, err := i.Store.Workers(ctx, recently)
	if err != nil {
		return f, err
	}
	c := crewOf(all, now)
	f.Figures = map[string]float64{"live": float64(c.live), "slots": float64(c.slots), "silent": float64(c.silent), "died_5m": float64(c.died)}
	unclaimed, err := i.Store.FindOrphans(ctx, job.OrphanUnclaimed, late, 100)
	if err != nil {
		return f, err
	}
	for _, u := range unclaimed {
		switch u.Cause {
		case job.UnclaimedNoWorker:
			f.Worse(Down, u.Text(), "start one: directorybolt work")
		case job.UnclaimedNoHandler:
			f.Worse(Degraded, u.Text(), "deploy workers of the release that performs it")
		}
	}
	storm, err := i.Store.LastStorm(ctx)
	if err != nil {
		return f, err
	}
	if storm.Open() {
		f.Worse(Degraded, fmt.Sprintf("a storm is open since %s: %d of %d workers fell silent together, recovery waits for a minute at most", stamp(storm.OpenedAt), storm.Dead, storm.Owners),
			"look at the clock, the network and the database: docs/runbook.md, storm breaker tripped")
	}
	if c.silent > 0 {
		f.Worse(Degraded, counted(c.silent, "worker does", "workers do")+" not beat any more and nobody has retired it yet", "run: directorybolt stale list")
	}
	if c.died > 0 {
		f.Worse(Degraded, counted(c.died, "worker died", "workers died")+" in the last 5 minutes, the last one on "+c.lastOn, "read its log; docs/runbook.md, workers die")
	}
	return f, nil
}

// crew is the workers, counted.
type crew struct {
	live, slots, silent, died int
	lastOn                    string
}

// crewOf counts the workers but for those of drills, which are killed on purpose and
// perform canaries alone.
func crewOf(all []job.Worker, now time.Time) (c crew) {
	var last time.Time
	for _, w := range all {
		if w.CanariesOnly() {
			continue
		}
		switch {
		case w.RetiredAt.IsZero() && w.LeaseUntil.After(now):
			c.live++
			c.slots += w.Capacity
		case w.RetiredAt.IsZero():
			c.silent++
		case w.RetiredCause == job.RetiredLeaseExpired, w.RetiredCause == job.RetiredLockLost:
			c.died++
			if w.RetiredAt.After(last) {
				last, c.lastOn = w.RetiredAt, fmt.Sprintf("%s, pid %d", w.Host, w.PID)
			}
		}
	}
	return c
}

func (i Installation) letters(ctx context.Context) (Finding, error) {
	f := Finding{Status: Up}
	now, err := i.Store.Now(ctx)
	if err != nil {
		return f, err
	}
	passes, err := i.Store.MonitorPasses(ctx)
	if err != nil {
		return f, err
	}
	d, err := i.Store.LetterDepth(ctx)
	if err != nil {
		return f, err
	}
	f.Figures = map[string]float64{"depth": float64(d.Open), "value_cents": float64(d.ValueCents), "in_flight": float64(d.InFlight)}
	looks := watchersOf(passes, job.MonitorDLQLook)
	looks.last.Every = watchersOf(passes, job.MonitorDLQ).last.Every // a look has no beat of its own
	if looks.blind(now) {
		f.Worse(Down, "nobody sees the dead letter queue since "+looks.since()+": "+looks.last.Error, "run: directorybolt queue check")
	}
	if d.Open > 0 {
		f.Worse(Degraded, fmt.Sprintf("%s, $%d.%02d, the oldest from %s", counted(int(d.Open), "dead letter is open", "dead letters are open"), d.ValueCents/100, d.ValueCents%100, stamp(d.Oldest)),
			"run: directorybolt dlq list")
	}
	return f, nil
}

// channelFails is after how many failures in a row a channel does not work.
const channelFails = 2

func (i Installation) alerts(ctx context.Context) (Finding, error) {
	f := Finding{Status: Up, Figures: map[string]float64{}}
	now, err := i.Store.Now(ctx)
	if err != nil {
		return f, err
	}
	all, err := i.Store.Backlogs(ctx)
	if err != nil {
		return f, err
	}
	unsent, err := i.Store.FindOrphans(ctx, job.OrphanUnsent, untoldFor, 10)
	if err != nil {
		return f, err
	}
	const test = "run: directorybolt alerts test"
	// The store knows a channel from its first message on; until then it is set, and
	// nothing speaks against it.
	channels, working := len(i.Channels), len(i.Channels)
	for _, b := range all {
		if !i.uses(b) {
			continue
		}
		if len(i.Channels) == 0 {
			channels, working = channels+1, working+1
		}
		f.Figures["undelivered"] += float64(b.Waiting)
		f.Figures["parked"] += float64(b.Parked)
		broken := !b.HeldAt.IsZero() || b.Failures >= channelFails
		if broken {
			working--
		}
		switch {
		case broken:
			f.Worse(Degraded, fmt.Sprintf("%s takes nothing since %s: %s", b.Name, stamp(b.FailingSince), b.Error), test)
		case b.Parked > 0:
			f.Worse(Degraded, fmt.Sprintf("%s has refused %s again and again: %s", b.Name, counted(int(b.Parked), "message", "messages"), b.Error), "run: directorybolt alerts list")
		case !b.OldestDue.IsZero() && now.Sub(b.OldestDue) > untoldFor:
			f.Worse(Degraded, fmt.Sprintf("%s has not got what is due since %s", b.Name, stamp(b.OldestDue)), "a process that sends alerts must run: all, stale-monitor or dlq-monitor")
		}
	}
	switch {
	case channels == 0:
		f.Worse(Degraded, "no alert channel is set: nobody is told of anything", "set SLACK_WEBHOOK_URL, then run: directorybolt alerts test")
	case working == 0:
		f.Worse(Down, "no alert channel works: "+f.Detail, test)
	}
	for _, u := range unsent {
		if u.Subject == job.MessageAlert {
			f.Worse(Degraded, u.Text(), "a process that sends alerts must run: all, stale-monitor or dlq-monitor")
		}
	}
	return f, nil
}

// uses reports whether a channel is one of those that are set. The API itself sends
// nothing, and may not know.
func (i Installation) uses(b alert.Backlog) bool {
	for _, name := range i.Channels {
		if name == b.Name {
			return true
		}
	}
	return len(i.Channels) == 0 && b.Target != ""
}

func (i Installation) limiter(context.Context) (Finding, error) {
	f := Finding{Status: Up}
	if s := i.Limiter(); s.Down {
		cause := "it failed"
		if s.Cause != nil {
			cause = s.Cause.Error()
		}
		f.Worse(Degraded, fmt.Sprintf("it works without its store since %s: %s", stamp(s.Since), cause), "look at the database; each process counts by itself meanwhile, and what must not go uncounted is refused")
	}
	return f, nil
}

func (i Installation) books(ctx context.Context) (Finding, error) {
	f := Finding{Status: Up}
	all, err := i.Store.Findings(ctx)
	if err != nil {
		return f, err
	}
	n := 0
	for _, found := range all {
		if found.Kind == job.OrphanUnbalanced {
			if n++; n == 1 {
				f.Worse(Down, found.Text(), "run: directorybolt stale list")
			}
		}
	}
	if n > 1 {
		f.Detail += fmt.Sprintf(", and %d more", n-1)
	}
	return f, i.checked(ctx, &f)
}

// checked looks whether anybody checks the books: what nobody looked at may be wrong.
func (i Installation) checked(ctx context.Context, f *Finding) error {
	now, err := i.Store.Now(ctx)
	if err != nil {
		return err
	}
	passes, err := i.Store.MonitorPasses(ctx)
	if err != nil {
		return err
	}
	const remedy = "a process that checks the books must run: work, all or stale-monitor; its log says what it met"
	w := watchersOf(passes, job.MonitorBooks)
	detail := "nobody has checked the books since " + w.since()
	if w.last.Error != "" {
		detail += ": " + w.last.Error
	}
	switch {
	case w.goodAt.IsZero(), w.missed(gone, now):
		if time.Since(i.Begun) < handover { // who began with us is about to
			f.Worse(Degraded, "the books are not checked yet", remedy)
			return nil
		}
		f.Worse(Down, detail, remedy)
	case w.missed(missed, now):
		f.Worse(Degraded, detail, remedy)
	}
	return nil
}

// Measure counts what the figures are.
func (i Installation) Measure(ctx context.Context) (f Figures, err error) {
	if f.Load, err = i.Store.Load(ctx); err != nil {
		return f, err
	}
	done, err := i.Store.Rollups(ctx, job.FactCompleted, f.Day(), f.At.Add(time.Minute))
	if err != nil {
		return f, err
	}
	for _, r := range done {
		if r.Labels != job.KindCanary {
			f.CompletedToday += r.Value
		}
	}
	stale, err := i.Store.Stale(ctx, i.StallAfter, mostStale)
	if err != nil {
		return f, err
	}
	for _, j := range stale {
		if !j.Canary {
			f.Stale++
		}
	}
	letters, err := i.Store.LetterDepth(ctx)
	if err != nil {
		return f, err
	}
	risk, err := i.Store.AtRisk(ctx, i.StallAfter)
	if err != nil {
		return f, err
	}
	f.DLQDepth, f.ValueAtRiskCents = letters.Open, risk.Total().ValueCents
	workers, err := i.Store.Workers(ctx, 0)
	if err != nil {
		return f, err
	}
	live := crewOf(workers, f.At)
	f.WorkersLive, f.SlotsLive = live.live, int64(live.slots)
	f.DuePerSlot = float64(f.Due) / float64(max(1, f.SlotsLive))
	return f, nil
}

func counted(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
