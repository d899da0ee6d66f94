package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/config"
	"github.com/directorybolt/directorybolt/internal/queue/sqs"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/directorybolt/directorybolt/internal/telemetry"
)

type doctorCmd struct {
	All bool `help:"Also show what is well."`
}

// Help shows how it is typed.
func (doctorCmd) Help() string {
	return "It looks at what a deploy needs before there is one: settings, disk, ports, the database and what its role may do, clocks, queues and their " +
		"permissions, alert channels, the catalog. It changes nothing and tells nobody; of each queue one message is received for a moment and given back. " +
		"Grades: good; weak, it works with less; bad, it will not work or a promise cannot be kept; untold, only doing it would tell. The exit status is 5 when anything is bad.\n\n" +
		examples("directorybolt doctor", "directorybolt doctor --all --json")
}

// symptom is one thing that was looked at, and how to mend it.
type symptom struct {
	Area   string `json:"area"`
	Aspect string `json:"aspect"`
	Grade  string `json:"grade"` // good, weak, bad or untold
	Seen   string `json:"seen"`
	Remedy string `json:"remedy,omitempty"`
}

// doctor looks at one installation.
type doctor struct {
	a     *app
	house house
	found []symptom
	scrub func(string) string
}

// What is expected of the surroundings.
const (
	doctorPatience = 20 * time.Second // for all that one service is asked
	farDatabase    = 20 * time.Millisecond
	littleSpace    = 1 << 30 // bytes
	noSpace        = 100 << 20
	clockApart     = time.Second
	clockWrong     = 10 * time.Second
)

// Run examines.
func (c doctorCmd) Run(ctx context.Context, a *app) error {
	d := &doctor{a: a, scrub: telemetry.NewScrubber(nil).Scrub}
	if d.settings() {
		d.scrub = telemetry.NewScrubber(d.house.config.Secrets()).Scrub
		d.binary()
		d.disk()
		d.ports(ctx)
		d.catalog()
		d.database(ctx)
		d.queues(ctx)
		d.channels(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return c.tell(a, d.found)
}

func (c doctorCmd) tell(a *app, found []symptom) error {
	grades := map[string]int{}
	var shown []symptom
	for _, s := range found {
		grades[s.Grade]++
		if c.All || a.JSON || s.Grade != sqs.Good {
			shown = append(shown, s)
		}
	}
	err := list(a, shown, []string{"AREA", "GRADE", "ASPECT", "SEEN", "REMEDY"}, func(s symptom) []string {
		return []string{s.Area, s.Grade, s.Aspect, s.Seen, s.Remedy}
	})
	if err != nil {
		return err
	}
	a.say("%s: %d good, %d weak, %d bad, %d untold", count(len(found), "aspect"), grades[sqs.Good], grades[sqs.Weak], grades[sqs.Bad], grades[sqs.Untold])
	if grades[sqs.Bad] > 0 {
		return exitWith(ExitUnhealthy)
	}
	return nil
}

func (d *doctor) add(area, aspect, grade, seen, remedy string) {
	if grade == sqs.Good {
		remedy = ""
	}
	d.found = append(d.found, symptom{area, aspect, grade, d.scrub(seen), remedy})
}

// is adds a symptom that is good, or of the grade given.
func (d *doctor) is(good bool, area, aspect, grade, seen, remedy string) {
	if good {
		grade = sqs.Good
	}
	d.add(area, aspect, grade, seen, remedy)
}

const howToSet = "see: directorybolt config print, docs/configuration.md"

// settings loads what is set, and reports whether there is anything else to look at.
func (d *doctor) settings() bool {
	c, warnings, err := config.Load(config.Sources{Args: d.a.flags, Env: d.a.env, File: d.a.Config})
	for _, w := range warnings {
		d.add("settings", "names", sqs.Weak, string(w), howToSet)
	}
	var faults config.Faults
	if errors.As(err, &faults) {
		for _, f := range faults {
			d.add("settings", "values", sqs.Bad, f.String(), howToSet)
		}
		return false
	}
	if err != nil {
		d.add("settings", "values", sqs.Bad, err.Error(), howToSet)
		return false
	}
	d.a.loaded = &c
	d.house = house{config: c, log: newLogger(c, discard{})}
	d.add("settings", "values", sqs.Good, "each is well-formed, and they go together", "")
	d.is(c.PublicURL != "", "settings", "PUBLIC_URL", sqs.Weak, known(c.PublicURL), "set PUBLIC_URL: without it alerts have no links")
	behind := strings.HasPrefix(c.PublicURL, "https:") && len(c.TrustedProxies) == 0 && c.TrustedHops == 0 && c.NetlifySecret == ""
	d.is(!behind, "settings", "client addresses", sqs.Weak, map[bool]string{
		true: "PUBLIC_URL is https and no proxy is trusted: all customers count as one client", false: "as set",
	}[behind], "set TRUSTED_PROXIES, TRUSTED_HOPS or NETLIFY_SIGNING_SECRET")
	return true
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func known(value string) string {
	if value == "" {
		return "not set"
	}
	return value
}

func (d *doctor) binary() {
	b := thisBuild()
	d.is(b.Version != "devel" && !b.Modified, "binary", "version", sqs.Weak, b.String(), "deploy a build of a release: make build, on a clean tree")
}

// disk looks at the data directory: that it can be written, and has room.
func (d *doctor) disk() {
	dir := d.house.config.DataDir
	const remedy = "choose another with DATA_DIR, or give this user the right to write it"
	place, err := wherever(dir)
	if err != nil {
		d.add("disk", "writable", sqs.Bad, err.Error(), remedy)
		return
	}
	file, err := os.CreateTemp(place, ".directorybolt-doctor-*")
	if err != nil {
		d.add("disk", "writable", sqs.Bad, cause(err).Error(), remedy)
		return
	}
	_ = file.Close()
	if err := os.Remove(file.Name()); err != nil {
		d.add("disk", "writable", sqs.Weak, cause(err).Error(), remedy)
	} else {
		d.add("disk", "writable", sqs.Good, dir, "")
	}
	free, err := freeSpace(place)
	switch seen := fmt.Sprintf("%d MiB free in %s", free>>20, dir); {
	case err != nil:
		d.add("disk", "room", sqs.Untold, cause(err).Error(), "look at it with: df")
	case free < noSpace:
		d.add("disk", "room", sqs.Bad, seen, "make room: evidence, and a SQLite store, grow")
	default:
		d.is(free >= littleSpace, "disk", "room", sqs.Weak, seen, "make room: evidence, and a SQLite store, grow")
	}
}

// wherever is the nearest directory that is there: what is missing below it is made at the
// start. The error names what stands in the way: a file, or a link that leads nowhere.
func wherever(dir string) (string, error) {
	info, err := os.Stat(dir)
	_, bare := os.Lstat(dir)
	switch up := filepath.Dir(dir); {
	case err == nil && info.IsDir():
		return dir, nil
	case bare == nil || up == dir:
		return "", fmt.Errorf("%s is not a directory", dir)
	default:
		return wherever(up)
	}
}

// ports looks whether a process could listen.
func (d *doctor) ports(ctx context.Context) {
	c := d.house.config
	d.port(ctx, "PORT", c.Bind, c.Port)
	if host, port, err := net.SplitHostPort(c.ProbeAddress); err == nil {
		number, _ := strconv.Atoi(port) // the setting was checked
		d.port(ctx, "PROBE_ADDRESS", host, number)
	}
}

func (d *doctor) port(ctx context.Context, name, bind string, port int) {
	ln, err := listen(ctx, bind, port)
	if err != nil {
		d.add("ports", name, sqs.Weak, err.Error(), "if it is not this system that runs already: "+remedyOf(err))
		return
	}
	d.add("ports", name, sqs.Good, ln.Addr().String()+" is free", "")
	_ = ln.Close()
}

func (d *doctor) catalog() {
	const remedy = "set CATALOG; docs/directories.md says how to describe a directory"
	if d.house.config.Catalog == "" {
		d.add("catalog", "readable", sqs.Bad, "CATALOG is not set: workers and the API do not start", remedy)
		return
	}
	c, err := loadCatalog(d.house.config.Catalog)
	if err != nil {
		d.add("catalog", "readable", sqs.Bad, err.Error(), "run: directorybolt directories lint "+d.house.config.Catalog)
		return
	}
	active := 0
	for _, entry := range c.All() {
		if entry.IsActive() {
			active++
		}
	}
	d.is(active > 0, "catalog", "directories", sqs.Bad, fmt.Sprintf("%s, %d active", count(c.Len(), "directory"), active), remedy)
}

// examined is a store that looks at its own database.
type examined interface {
	Examine(ctx context.Context) (store.Symptoms, error)
}

var (
	_ examined = (*postgres.Store)(nil)
	_ examined = (*sqlite.Store)(nil)
)

func (d *doctor) database(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	s, err := d.house.connect(ctx, mustExist)
	path := databasePath(d.house.config)
	_, there := os.Stat(path)
	_, blocked := wherever(d.house.config.DataDir)
	switch {
	case err != nil && d.house.config.DatabaseURL == "" && errors.Is(there, fs.ErrNotExist) && blocked == nil:
		d.add("database", "reachable", sqs.Good, path+" is made at the first start", "")
		return
	case err != nil:
		d.add("database", "reachable", sqs.Bad, err.Error(), remedyOf(err))
		return
	}
	defer func() { _ = s.Close() }() // it was only read
	d.add("database", "reachable", sqs.Good, storeName(d.house.config), "")
	d.clock(ctx, s)
	if e, ok := s.(examined); ok {
		symptoms, err := e.Examine(ctx)
		for _, f := range symptoms {
			d.add("database", f.Aspect, f.Grade, f.Seen, f.Remedy)
		}
		if err != nil {
			d.add("database", "examination", sqs.Bad, err.Error(), "")
		}
	}
	pending, err := pendingMigrations(ctx, s)
	switch {
	case err != nil:
		d.add("database", "migrations", sqs.Bad, err.Error(), "run: directorybolt migrate status")
	default:
		d.is(len(pending) == 0, "database", "migrations", sqs.Weak, count(len(pending), "migration")+" pending", "run: directorybolt migrate up")
	}
}

// clock measures how far the database is, and how far its clock is from ours.
func (d *doctor) clock(ctx context.Context, s backend) {
	const times = 5
	var took, apart []time.Duration
	for range times {
		sent := time.Now()
		if err := s.Ping(ctx); err != nil {
			break // before the first migration SQLite has nothing to answer with
		}
		took = append(took, time.Since(sent))
		sent = time.Now()
		now, err := s.Now(ctx)
		if err != nil {
			d.add("database", "clock", sqs.Bad, err.Error(), "")
			return
		}
		apart = append(apart, now.Sub(sent.Add(time.Since(sent)/2)).Abs())
	}
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	slices.Sort(apart)
	middle := took[len(took)/2]
	d.is(middle < farDatabase, "database", "distance", sqs.Weak, middle.Round(10*time.Microsecond).String()+" for a question and its answer", "run the processes in the database's region")
	const remedy = "set the clocks right on both machines: NTP, such as chrony"
	off := apart[0]
	grade := sqs.Weak
	if off >= clockWrong {
		grade = sqs.Bad
	}
	d.is(off < clockApart, "clocks", "this machine and the database", grade, off.Round(time.Millisecond).String()+" apart", remedy)
}

func (d *doctor) queues(ctx context.Context) {
	c := d.house.config
	if !d.house.hints() {
		d.add("queue", "transport", sqs.Good, "the database; SQS_QUEUE_URL is not set", "")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	client, err := d.house.sqs(ctx)
	if err != nil {
		d.add("queue", "reachable", sqs.Bad, err.Error(), howToSet)
		return
	}
	for _, f := range client.Check(ctx, c.SQSDLQURL, c.SQSQueueURLs...) {
		aspect := f.Aspect
		if f.Queue != "" {
			aspect = f.Queue + ", " + aspect
		}
		d.add("queue", aspect, f.Grade, f.Seen, f.Remedy)
	}
}

// prober is a channel that can be asked without telling anybody anything.
type prober interface {
	Probe(ctx context.Context) error
}

func (d *doctor) channels(ctx context.Context) {
	channels, err := d.house.notifiers()
	if err != nil {
		d.add("alerts", "channels", sqs.Bad, err.Error(), howToSet)
		return
	}
	if len(channels) == 0 {
		d.add("alerts", "channels", sqs.Bad, "none is set: nobody would be told of anything", "set SLACK_WEBHOOK_URL, then: directorybolt alerts test")
	}
	for _, n := range channels {
		p, ok := n.(prober)
		if !ok {
			d.add("alerts", n.Channel(), sqs.Untold, "only a message would tell", "run: directorybolt alerts test --channel "+n.Channel())
			continue
		}
		asking, cancel := context.WithTimeout(ctx, testPatience)
		err := p.Probe(asking)
		cancel()
		if err != nil {
			d.add("alerts", n.Channel(), sqs.Bad, err.Error(), "mend the webhook: docs/runbook.md, Slack is silent; then: directorybolt alerts test")
		} else {
			d.add("alerts", n.Channel(), sqs.Good, "it would take a message", "")
		}
	}
}
