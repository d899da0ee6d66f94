package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/directorybolt/directorybolt/internal/api"
	"github.com/directorybolt/directorybolt/internal/config"
	"github.com/directorybolt/directorybolt/internal/health"
)

type healthCmd struct {
	URL     string        `placeholder:"URL" help:"Where the process answers. By default on this machine, at PORT, else at PROBE_ADDRESS."`
	Timeout time.Duration `default:"5s" placeholder:"TIME" help:"How long to wait for its answer; ${default} unless told."`
	Ready   bool          `xor:"what" help:"Ask only whether that process can do its work, as HEALTHCHECK of a container wants it."`
	Live    bool          `xor:"what" help:"Ask only whether that process lives."`
	Direct  bool          `xor:"what" help:"Ask no process: look from here, with the settings, and tell the details."`
}

// Help shows how it is typed.
func (healthCmd) Help() string {
	return "It says how the installation is and which services are not up, as GET /api/health does. A worker or a monitor, which has no API, " +
		"is asked whether it is ready; it answers where PROBE_ADDRESS is set. " +
		"The exit status is 0 when orders are performed (healthy or degraded), 5 when not (unhealthy, not ready), and 1 when nobody answers.\n\n" +
		"In a container ask with --ready: what is wrong elsewhere is no reason to restart this process.\n\n" +
		examples("directorybolt health --direct", "directorybolt health --ready --timeout 3s", "directorybolt health --url https://api.example.com --json")
}

// check refuses what cannot be asked.
func (c healthCmd) check() error {
	if c.Timeout <= 0 {
		return usage(fmt.Errorf("--timeout %s: nobody can answer in no time", c.Timeout), "give a duration such as 5s")
	}
	return checkPlace("--url", c.URL)
}

// checkPlace refuses what is not where a process answers; empty, it was not told.
func checkPlace(flag, text string) error {
	u, err := url.Parse(text)
	if text == "" || err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.RawQuery == "" && u.Fragment == "" {
		return nil
	}
	return usage(fmt.Errorf("%s %q is not where a process answers", flag, text), "write it like https://api.example.com or http://127.0.0.1:8080")
}

// Run asks.
func (c healthCmd) Run(ctx context.Context, a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	h, err := a.errand()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if c.Direct {
		return tellHealth(a, h.healthFromHere(ctx), "from here")
	}
	urls := []string{strings.TrimSuffix(c.URL, "/")}
	if c.URL == "" {
		urls = probed(h.config)
	}
	switch {
	case c.Ready:
		return tellProbe(ctx, a, urls, "/readyz")
	case c.Live:
		return tellProbe(ctx, a, urls, "/livez")
	}
	r, err := probe(ctx, urls, "/api/health")
	if err != nil {
		return err
	}
	if r.status == http.StatusNotFound {
		return tellProbe(ctx, a, []string{r.from}, "/readyz")
	}
	var seen api.Health
	if err := json.Unmarshal(r.body, &seen); err != nil || seen.Status == "" {
		return remedied(fmt.Errorf("ask %s for its health: what answers with status %d is not DirectoryBolt", r.from, r.status), "see: directorybolt health --help")
	}
	return tellHealth(a, seen, r.from)
}

// probed is where a process of these settings answers.
func probed(c config.Config) (urls []string) {
	if c.Port != 0 {
		urls = append(urls, "http://"+net.JoinHostPort(reachable(c.Bind), strconv.Itoa(c.Port)))
	}
	if host, port, err := net.SplitHostPort(c.ProbeAddress); err == nil && port != "0" {
		urls = append(urls, "http://"+net.JoinHostPort(reachable(host), port))
	}
	return urls
}

// reachable is the address at which who listens on bind answers this machine.
func reachable(bind string) string {
	switch ip, err := netip.ParseAddr(bind); {
	case err != nil || !ip.IsUnspecified():
		return bind
	case ip.Is4():
		return "127.0.0.1"
	}
	return "::1"
}

// reply is what a process answered.
type reply struct {
	from   string
	status int
	body   []byte
}

// probe asks the first of some addresses where somebody listens.
func probe(ctx context.Context, urls []string, path string) (r reply, err error) {
	if len(urls) == 0 {
		return r, usage(errors.New("ask for the health: PORT is 0 and PROBE_ADDRESS is not set, so nobody knows where the process answers"), "say where with --url")
	}
	for _, place := range urls {
		r, err = fetch(ctx, place, path)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("ask %s: no answer in time", r.from)
	case errors.Is(err, syscall.ECONNREFUSED):
		err = fmt.Errorf("ask %s: nobody listens there", strings.Join(urls, ", "))
	case err != nil:
		err = fmt.Errorf("ask %s: %w", r.from, cause(err))
	}
	return r, remedied(err, "is it running? A worker or monitor answers where PROBE_ADDRESS says; --url names another place; --direct looks without it")
}

func fetch(ctx context.Context, place, path string) (reply, error) {
	r := reply{from: place}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, place+path, nil)
	if err != nil {
		return r, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return r, err
	}
	defer res.Body.Close()
	r.status = res.StatusCode
	r.body, err = io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return r, err
}

// tellProbe prints what a probe answers.
func tellProbe(ctx context.Context, a *app, urls []string, path string) error {
	r, err := probe(ctx, urls, path)
	if err != nil {
		return err
	}
	text := strings.TrimSpace(string(r.body))
	if r.status != http.StatusOK && r.status != http.StatusServiceUnavailable {
		return remedied(fmt.Errorf("ask %s%s: what answers with status %d is not DirectoryBolt", r.from, path, r.status), "see: directorybolt health --help")
	}
	if a.JSON {
		err = a.object(map[string]any{"url": r.from + path, "ok": r.status == http.StatusOK, "answer": text})
	} else {
		err = a.printf("%s\n", text)
	}
	if err == nil && r.status != http.StatusOK {
		err = exitWith(ExitUnhealthy)
	}
	return err
}

// tellHealth prints a verdict: the worst first.
func tellHealth(a *app, seen api.Health, from string) error {
	if err := printHealth(a, seen, from); err != nil {
		return err
	}
	if seen.Status == string(health.Unhealthy) {
		return exitWith(ExitUnhealthy)
	}
	return nil
}

func printHealth(a *app, seen api.Health, from string) error {
	if a.JSON {
		return a.object(seen)
	}
	type line struct {
		name string
		api.ServiceHealth
	}
	var lines []line
	detailed := false
	for name, s := range seen.Services {
		lines = append(lines, line{name, s})
		detailed = detailed || !s.Since.IsZero()
	}
	badness := func(l line) int { return slices.Index(health.Statuses, health.Status(l.Status)) }
	slices.SortFunc(lines, func(x, y line) int {
		return cmp.Or(cmp.Compare(badness(y), badness(x)), cmp.Compare(x.Blames, y.Blames), cmp.Compare(x.name, y.name))
	})
	header := []string{"SERVICE", "STATUS"}
	if detailed {
		header = append(header, "FOR", "DETAIL", "REMEDY")
	}
	err := list(a, lines, header, func(l line) []string {
		if !detailed {
			return []string{l.name, l.Status}
		}
		return []string{l.name, l.Status, span(seen.Timestamp.Sub(l.Since)), l.Detail, l.Remedy}
	})
	if err != nil {
		return err
	}
	if m := seen.Metrics; m != nil {
		a.say("%d pending (%d due), %d in progress, %d completed and %d failed today, %d stale, %d dead letters, %s at risk; %d slots, %.1f due jobs for each",
			m.JobsPending, m.JobsDue, m.JobsInProgress, m.JobsCompletedToday, m.JobsFailedToday, m.JobsStale, m.DLQDepth, dollars(m.ValueAtRiskCents), m.SlotsLive, m.DueJobsPerLiveSlot)
	}
	switch wrong := strings.Join(seen.Wrong, ", "); {
	case wrong == "":
		a.say("%s, %s", seen.Status, from)
	case detailed:
		a.say("%s: %s; %s", seen.Status, wrong, from)
	default:
		a.say("%s: %s; %s (details: directorybolt health --direct)", seen.Status, wrong, from)
	}
	return nil
}

// healthFromHere looks once, whatever the state of the store. What a process knows of
// itself alone, such as its rate limiter, is not seen.
func (h house) healthFromHere(ctx context.Context) api.Health {
	s, err := h.connect(ctx, mustExist)
	if err == nil {
		defer func() { _ = s.Close() }() // it was only read
	}
	m, fault := h.health(ctx, s, nil)
	if fault != nil {
		err = errors.Join(err, fault)
	}
	if err != nil {
		return h.healthOf(health.Blind(err, remedyOf(err)))
	}
	return h.healthOf(m.Look(ctx))
}
