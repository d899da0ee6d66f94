package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/api"
	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/books"
	"github.com/directorybolt/directorybolt/internal/drill"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/directorybolt/directorybolt/internal/verify"
)

// verification is what the checks of one run share.
type verification struct {
	a     *app
	house house
	cmd   verifyCmd
	url   string

	mu     sync.Mutex
	opened backend

	letter *letterTrip // nil: not made yet
}

// checks is the acceptance list.
func (v *verification) checks() []verify.Check {
	return []verify.Check{
		{Name: "migrations", Title: "every migration is applied", Cheap: true, Run: v.migrations},
		{Name: "stale_monitor", Title: "a stale monitor looks on time", Cheap: true, Run: v.staleMonitor},
		{Name: "workers", Title: "workers are alive", Cheap: true, Run: v.workers},
		{Name: "health", Title: "every service is up", Cheap: true, Run: v.health},
		{Name: "page", Title: "the page is served", Cheap: true, Run: v.page},
		{Name: "errors", Title: "no process has counted an error since its start", Cheap: true, Run: v.errors},
		{Name: "limiter", Title: fmt.Sprintf("%d requests pass and the next 5 are refused", v.cmd.Limit), Run: v.limiter},
		{Name: "canary", Title: "a canary order completes", Within: 2 * time.Minute, Run: v.canary},
		{Name: "dead_letter", Title: "a dead letter reaches people and is redriven", Within: 4 * time.Minute, Run: v.deadLetter},
		{Name: "dlq_monitor", Title: "a dead letter monitor looks on time and closes what is redriven", Within: 4 * time.Minute, Run: v.dlqMonitor},
		{Name: "recovery", Title: "the job of a killed worker is taken back", Within: 5 * time.Minute, Run: v.recovery},
		{Name: "books", Title: "the books are checked, and the sums add up", Cheap: true, Run: v.books},
	}
}

const startWorker = "start one: directorybolt work"

// store is the system's, whatever its schema; opened when it is first needed.
func (v *verification) store(ctx context.Context) (backend, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.opened != nil {
		return v.opened, nil
	}
	s, err := v.house.connect(ctx, mustExist)
	if err != nil {
		return nil, verify.Failed(remedyOf(err), "%v", err)
	}
	v.opened = s
	return s, nil
}

func (v *verification) close() {
	if v.opened != nil {
		_ = v.opened.Close() // nothing is left to write
	}
}

func (v *verification) migrations(ctx context.Context) (string, error) {
	s, err := v.store(ctx)
	if err != nil {
		return "", err
	}
	all, err := s.MigrationStatus(ctx)
	if err != nil {
		return "", err
	}
	pending := pendingOf(all)
	figure := fmt.Sprintf("%d of %d", len(all)-len(pending), len(all))
	if len(pending) > 0 {
		return figure, verify.Failed("run: directorybolt migrate up", "%s pending, from %s on", count(len(pending), "migration"), pending[0])
	}
	return figure, nil
}

// staleMonitor waits for the next pass: an earlier one proves little.
func (v *verification) staleMonitor(ctx context.Context) (string, error) {
	s, err := v.store(ctx)
	if err != nil {
		return "", err
	}
	return v.watching(ctx, s, job.MonitorStale, true)
}

// watching looks whether a monitor ended a good pass in its time; with next, whether it
// ends another one.
func (v *verification) watching(ctx context.Context, s backend, monitor string, next bool) (string, error) {
	remedy := "start one: directorybolt " + monitor + "-monitor"
	latest := func() (p job.MonitorPass, passes int64, age time.Duration, err error) {
		now, err := s.Now(ctx)
		if err != nil {
			return p, 0, 0, err
		}
		all, err := s.MonitorPasses(ctx)
		for _, q := range all {
			if q.Monitor != monitor {
				continue
			}
			passes += q.Passes - q.Failed
			if q.LeftAt.IsZero() && q.GoodAt.After(p.GoodAt) {
				p = q
			}
		}
		return p, passes, now.Sub(p.GoodAt), err
	}
	p, before, age, err := latest()
	if err != nil {
		return "", err
	}
	if p.GoodAt.IsZero() {
		return "", verify.Failed(remedy, "no %s monitor is at work", monitor)
	}
	figure := fmt.Sprintf("last pass %s ago, every %s, on %s, pid %d", span(age), p.Every, p.Host, p.PID)
	patience := 2*p.Every + min(p.Every/2, 5*time.Second)
	if age > patience {
		return figure, verify.Failed(remedy, "two passes were missed")
	}
	for begun := time.Now(); next; {
		if _, passes, _, err := latest(); err != nil || passes > before {
			return figure, err
		}
		if time.Since(begun) > patience {
			return figure, verify.Failed(remedy, "no pass in %s", patience)
		}
		if err := rest(ctx, 100*time.Millisecond); err != nil {
			return figure, err
		}
	}
	return figure, nil
}

// rest waits a moment, or for the end of ctx.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (v *verification) workers(ctx context.Context) (string, error) {
	s, err := v.store(ctx)
	if err != nil {
		return "", err
	}
	live, slots, err := performers(ctx, s)
	if err != nil {
		return "", err
	}
	figure := fmt.Sprintf("%s, %s", count(live, "worker"), count(slots, "slot"))
	if live == 0 {
		return figure, verify.Failed(startWorker, "no worker is alive")
	}
	return figure, nil
}

// performers counts the live workers that perform orders.
func performers(ctx context.Context, s backend) (live, slots int, err error) {
	now, err := s.Now(ctx)
	if err != nil {
		return 0, 0, err
	}
	all, err := s.Workers(ctx, 0)
	for _, w := range all {
		if w.RetiredAt.IsZero() && w.LeaseUntil.After(now) && slices.Contains(w.Kinds, job.KindOrder) {
			live++
			slots += w.Capacity
		}
	}
	return live, slots, err
}

func (v *verification) health(ctx context.Context) (string, error) {
	r, err := v.get(ctx, "/api/health", "")
	if err != nil {
		return "", err
	}
	var h api.Health
	if err := json.Unmarshal(r.body, &h); err != nil || h.Status == "" {
		return fmt.Sprintf("status %d", r.status), verify.Failed("is it the API that answers there? --url names another place", "what answers is not DirectoryBolt")
	}
	figure := fmt.Sprintf("%s, %d", h.Status, r.status)
	if len(h.Wrong) > 0 {
		return figure, verify.Failed("run: directorybolt health --direct", "not up: %s", strings.Join(h.Wrong, ", "))
	}
	if r.status != http.StatusOK {
		return figure, verify.Failed("run: directorybolt health --direct", "it answers with status %d", r.status)
	}
	return figure + ", " + count(len(h.Services), "service"), nil
}

func (v *verification) page(ctx context.Context) (string, error) {
	r, err := v.get(ctx, "/", "")
	if err != nil {
		return "", err
	}
	figure := fmt.Sprintf("status %d, %s", r.status, r.kind)
	if kind, _, _ := mime.ParseMediaType(r.kind); r.status != http.StatusOK || kind != "text/html" {
		return figure, verify.Failed("is it api or all that answers at --url?", "no page is served at %s/", v.url)
	}
	return figure, nil
}

// got is what the API answered.
type got struct {
	status int
	kind   string
	header http.Header
	body   []byte
}

// get asks the API; key is empty for anybody.
func (v *verification) get(ctx context.Context, path, key string) (g got, err error) {
	if v.url == "" {
		return g, verify.Failed("say where with --url", "PORT is 0: nobody knows where the API answers")
	}
	return fetchAs(ctx, v.url+path, key)
}

func fetchAs(ctx context.Context, url, key string) (g got, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return g, verify.Failed("see --url", "%v", err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return g, verify.Failed("start it: directorybolt api, or all; --url names another place", "nobody answers at %s: %v", url, cause(err))
	}
	defer res.Body.Close()
	g = got{status: res.StatusCode, kind: res.Header.Get("Content-Type"), header: res.Header}
	g.body, err = io.ReadAll(io.LimitReader(res.Body, 16<<20))
	return g, err
}

// errorCounters are the counters that are zero in a process that is well. What happens to
// orders is not among them, nor what a client does.
var errorCounters = []string{
	"heartbeats_failed_total", "stale_passes_failed_total", "dlq_passes_failed_total", "alert_passes_failed_total", "queue_failures_total",
	"ratelimit_store_errors_total", "service_checks_failed_total", "handlers_stuck_total", "fenced_writes_total", "storms_total",
}

// errors reads the counters of the processes that tell them.
func (v *verification) errors(ctx context.Context) (string, error) {
	places := append([]string{v.url}, v.cmd.Metrics...)
	nonzero := map[string]float64{}
	for _, place := range places {
		r, err := fetchAs(ctx, strings.TrimSuffix(strings.TrimSuffix(place, "/"), "/metrics")+"/metrics", "")
		if err != nil {
			return "", err
		}
		if r.status != http.StatusOK {
			return "", verify.Failed("name a process that tells its metrics", "%s/metrics answers with status %d", place, r.status)
		}
		for name, n := range errorsIn(string(r.body)) {
			nonzero[name] += n
		}
	}
	figure := count(len(places), "process")
	if len(places) != 1 {
		figure = fmt.Sprintf("%d processes", len(places))
	}
	if len(nonzero) == 0 {
		return figure, nil
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(nonzero)) {
		parts = append(parts, fmt.Sprintf("%s %g", name, nonzero[name]))
	}
	return figure, verify.Failed("their logs say why; a restart begins at zero", "%s", strings.Join(parts, ", "))
}

// errorsIn finds counters of errors that are not zero, and answers of the API with 5xx.
func errorsIn(metrics string) map[string]float64 {
	found := map[string]float64{}
	for line := range strings.Lines(metrics) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, labels, _ := strings.Cut(series, "{")
		name = strings.TrimPrefix(name, "directorybolt_")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil || n == 0 {
			continue
		}
		switch {
		case slices.Contains(errorCounters, name):
			found[name] += n
		case name == "http_request_seconds_count" && strings.Contains(labels, `status="5`) && !strings.Contains(labels, `route="/api/health"`):
			found["answers with 5xx"] += n
		}
	}
	return found
}

// limiter asks as a client that nobody else is: a key that is made for it.
func (v *verification) limiter(ctx context.Context) (string, error) {
	const more = 5
	key, end, err := v.testKey(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	passed := 0
	for i := range v.cmd.Limit + more {
		r, err := v.get(ctx, "/api/session", key)
		if err != nil {
			return fmt.Sprintf("%d passed", passed), err
		}
		refused := r.status == http.StatusTooManyRequests
		if !refused {
			passed++
		}
		figure := fmt.Sprintf("%d of %d passed", passed, i+1)
		wait, _ := strconv.Atoi(r.header.Get("Retry-After"))
		switch {
		case r.status != http.StatusOK && !refused:
			return figure, verify.Failed("see the log of the API", "request %d was answered with status %d", i+1, r.status)
		case refused && i < v.cmd.Limit:
			return figure, verify.Failed("see RATE_LIMITS: directorybolt config print; or say --limit", "request %d was refused, of %d that may pass", i+1, v.cmd.Limit)
		case !refused && i >= v.cmd.Limit:
			return figure, verify.Failed("see RATE_LIMITS: directorybolt config print; docs/runbook.md, no 429 arrives", "request %d passed, and %d a minute may", i+1, v.cmd.Limit)
		case refused && (wait < 1 || wait > 60):
			return figure, verify.Failed("a proxy between may have changed the answer", "the refusal says Retry-After %q", r.header.Get("Retry-After"))
		}
	}
	return fmt.Sprintf("%d passed, %d refused with 429 and Retry-After", passed, more), nil
}

// testKey makes a key of the canaries' customer; end revokes it.
func (v *verification) testKey(ctx context.Context) (text string, end func(), err error) {
	s, err := v.store(ctx)
	if err != nil {
		return "", nil, err
	}
	customer, err := s.EnsureCustomer(ctx, submit.CanaryCustomer)
	if err != nil {
		return "", nil, err
	}
	by := job.By{Actor: defaultActor(), Reason: "verify tries the rate limit"}
	text, k, err := auth.Mint("verify", auth.Customer, customer, time.Now().Add(10*time.Minute).UTC().Truncate(time.Microsecond), by.Actor)
	if err == nil {
		k, err = s.AddKey(ctx, k, auth.HashOf(text), by)
	}
	return text, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second) // also when the check ran out of time
		defer cancel()
		_ = s.RevokeKey(ctx, k.ID, by) // it ends by itself soon
	}, err
}

// place places a canary.
func (v *verification) place(ctx context.Context, c submit.Canary) (backend, job.ID, error) {
	s, err := v.store(ctx)
	if err != nil {
		return nil, job.ID{}, err
	}
	live, _, err := performers(ctx, s)
	if err != nil {
		return nil, job.ID{}, err
	}
	if live == 0 {
		return nil, job.ID{}, verify.Failed(startWorker, "no worker is alive to perform a canary")
	}
	customer, err := s.EnsureCustomer(ctx, submit.CanaryCustomer)
	if err != nil {
		return nil, job.ID{}, err
	}
	spec, err := submit.CanarySpec(customer, c, defaultActor())
	if err != nil {
		return nil, job.ID{}, err
	}
	placed, err := s.Enqueue(ctx, spec)
	if err != nil {
		return nil, job.ID{}, err
	}
	return s, placed[0].ID, nil
}

// ends waits for a job's end.
func ends(ctx context.Context, s backend, id job.ID, within time.Duration) (j job.Job, err error) {
	for end := time.Now().Add(within); ; {
		if j, err = s.Job(ctx, id); err != nil || j.State.Final() {
			return j, err
		}
		if time.Now().After(end) {
			return j, verify.Failed("run: directorybolt why "+id.String(), "canary %s is %s after %s", id, j.State, within)
		}
		if err := rest(ctx, 50*time.Millisecond); err != nil {
			return j, err
		}
	}
}

// forget cancels a canary that did not come to its end.
func forget(ctx context.Context, s backend, id job.ID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second) // also when the check ran out of time
	defer cancel()
	_ = s.Cancel(ctx, id, job.By{Actor: defaultActor(), Reason: "verify is over"}) // it may have ended meanwhile
}

func (v *verification) canary(ctx context.Context) (string, error) {
	const directories = 5
	s, id, err := v.place(ctx, submit.Canary{Directories: directories, Hold: 20 * time.Millisecond})
	if err != nil {
		return "", err
	}
	begun := time.Now()
	j, err := ends(ctx, s, id, time.Minute)
	if err != nil {
		forget(ctx, s, id)
		return "", err
	}
	arrived, err := s.Arrivals(ctx, id)
	if err != nil {
		return "", err
	}
	figure := fmt.Sprintf("%s after %s, %d arrivals of %d", j.State, millis(time.Since(begun)), len(arrived), directories)
	if j.State != job.Completed || len(arrived) != directories {
		return figure, verify.Failed("run: directorybolt jobs history "+id.String(), "%s", cmpOr(j.Cause, "what arrived is not what was ordered"))
	}
	return figure, nil
}

func cmpOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// recovery is the drill kill, on workers of its own.
func (v *verification) recovery(ctx context.Context) (string, error) {
	s, err := v.store(ctx)
	if err != nil {
		return "", err
	}
	if _, err := v.watching(ctx, s, job.MonitorStale, true); err != nil {
		return "", err // nobody would take the job back
	}
	on, err := v.a.stageHere(v.house.config, s)
	if err != nil {
		return "", err
	}
	defer on.strike()
	r, err := drill.Run(ctx, on.config(v.a, drill.Kill))
	switch {
	case errors.Is(err, drill.ErrUnwatched):
		return "", verify.Failed("start one: directorybolt stale-monitor", "no stale monitor is at work: nobody would take the job back")
	case err != nil:
		return "", verify.Failed("run: directorybolt drill kill", "%v", err)
	}
	promised := v.house.config.Lease + 2*v.house.config.LivenessInterval()
	figure := fmt.Sprintf("after %s, by %s; %d lost, %d doubled", millis(r.Recovery), r.Detector, r.Lost, r.Doubled)
	switch {
	case !r.OK:
		return figure, verify.Failed("run: directorybolt drill kill", "%s", strings.Join(r.Broken, "; "))
	case r.Recovery > promised:
		return figure, verify.Failed("is the database or this machine busy? run: directorybolt drill kill", "later than the promised %s", promised)
	}
	return figure, nil
}

func (v *verification) books(ctx context.Context) (string, error) {
	s, err := v.store(ctx)
	if err != nil {
		return "", err
	}
	stand, err := books.Stand(ctx, s, v.house.config.StallAfter())
	if err != nil {
		return "", err
	}
	switch {
	case len(stand.Unbalanced) > 0:
		return "", verify.Failed("run: directorybolt stale list", "%s", stand.Unbalanced[0].Text())
	case stand.Unchecked != "":
		return "", verify.Failed(startWorker, "%s", stand.Unchecked)
	}
	return fmt.Sprintf("nothing noted, last check %s ago", span(stand.At.Sub(stand.CheckedAt))), nil
}
