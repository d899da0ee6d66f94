package campaign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goccy/go-yaml"
	"golang.org/x/sync/errgroup"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/drill"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/sandbox"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/directorybolt/directorybolt/internal/submit"
)

// Store is what the campaign needs to fill the queue and to read what became of it.
type Store interface {
	job.Store
	submit.Ledger
	io.Closer
	Migrate(ctx context.Context) ([]store.Migration, error)
}

// front is one store with its workers and its web of directories.
type front struct {
	name     string
	dir      string
	binary   string
	lease    time.Duration
	strength Strength
	rnd      *rand.Rand // of one goroutine at a time; slots have their own

	cluster *dbtest.Cluster // nil: SQLite
	store   Store
	web     *sandbox.Sandbox
	catalog map[string]directory.Directory
	slots   []*slot
	aim     slot // the front's own: for restarts of the database

	ledger   ledger
	customer job.ID
	placed   []job.ID // orders, by number
	open     atomic.Int64

	delaying sync.Mutex
	delays   *rand.Rand
}

var quiet = slog.New(slog.DiscardHandler)

// openFront starts everything but the workers.
func openFront(ctx context.Context, c Config, name string, s Strength) (*front, error) {
	f := &front{
		name: name, binary: c.Binary, lease: c.Lease, strength: s,
		dir:    filepath.Join(c.Dir, name),
		rnd:    rand.New(rand.NewPCG(c.Seed, uint64(len(name)))),
		delays: rand.New(rand.NewPCG(c.Seed, 1000+uint64(len(name)))),
		ledger: ledger{faults: map[Class]Tally{}},
	}
	f.aim.front = f
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return nil, err
	}
	if err := errors.Join(f.openStore(ctx), f.openWeb(ctx, int64(c.Seed>>1))); err != nil {
		f.close()
		return nil, err
	}
	if err := f.recruit(c.Seed); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *front) openStore(ctx context.Context) (err error) {
	if f.name == "sqlite" {
		f.store, err = sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(f.dir, "directorybolt.db"), Log: quiet})
	} else {
		if f.cluster, err = dbtest.StartCluster(); err != nil {
			return err
		}
		f.store, err = postgres.Open(ctx, postgres.Config{URL: f.cluster.URL("postgres"), Log: quiet})
	}
	if err != nil {
		return err
	}
	if _, err := f.store.Migrate(ctx); err != nil {
		return err
	}
	f.customer, err = f.store.EnsureCustomer(ctx, submit.Customer{Email: "owner@campaign.example", Name: "Campaign"})
	return err
}

// openWeb opens the directories. Their order of the show is lost: a category each for
// several of them, so that orders meet all.
func (f *front) openWeb(ctx context.Context, seed int64) (err error) {
	f.web, err = sandbox.Start(ctx, sandbox.Config{
		Count: len(cast), Behaviours: cast, Seed: seed, Scale: 0.1, OnPost: f.onPost,
	})
	if err != nil {
		return err
	}
	f.catalog = map[string]directory.Directory{}
	var doc struct {
		Directories []directory.Directory `yaml:"directories"`
	}
	for i, d := range f.web.Catalog() {
		d.Category = categories[i%len(categories)]
		d.Pacing.Timeout = directory.Duration(min(d.Pacing.Timeout.D(), f.lease/2))
		if d.Lookup != nil {
			// What a directory promises by itself, and what we and a busy machine add: a
			// listing that showed later than its rule says would be the directory's lie.
			d.Lookup.Settle += directory.Duration(longestDelay + busyMachine)
		}
		f.catalog[d.Slug] = d
		doc.Directories = append(doc.Directories, d)
	}
	out, err := yaml.MarshalWithOptions(doc, yaml.OmitEmpty(), yaml.IndentSequence(true))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(f.dir, "catalog.yaml"), out, 0o600)
}

// recruit makes the slots; their processes begin when they run.
func (f *front) recruit(seed uint64) error {
	for i := range f.strength.Workers {
		s := &slot{front: f, number: i, rnd: rand.New(rand.NewPCG(seed, 10_000+uint64(i)))}
		s.env = f.env(i)
		if f.cluster != nil {
			p, err := drill.NewProxy(f.cluster.Address())
			if err != nil {
				return err
			}
			s.proxy = p
			s.env = append(s.env, "DATABASE_URL="+strings.Replace(f.cluster.URL("postgres"), f.cluster.Address(), p.Address(), 1))
		}
		f.slots = append(f.slots, s)
	}
	return nil
}

// env are the settings of a worker. The contact tells the directories who comes.
func (f *front) env(slot int) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + f.dir, "DATA_DIR=" + f.dir,
		"CATALOG=" + filepath.Join(f.dir, "catalog.yaml"), "OUTBOUND_ALLOW=127.0.0.0/8",
		fmt.Sprintf("CONTACT_URL=https://slot-%d.example/", slot),
		"LEASE=" + f.lease.String(), "HEARTBEAT=" + (f.lease / 5).String(), "CHECK_INTERVAL_SECONDS=0.2",
		"STALE_THRESHOLD_MINUTES=0.5", "POLL_INTERVAL=50ms", "BACKOFF_BASE=100ms", "BACKOFF_CAP=1600ms",
		"WORKER_CONCURRENCY=2", "SUBMIT_CONCURRENCY=2", "DRAIN_GRACE=1s", "LOG_FORMAT=json", "LOG_LEVEL=warn",
	}
}

var whoComes = regexp.MustCompile(`https://slot-(\d+)\.example/`)

// onPost is told of each post at the moment it begins to arrive.
func (f *front) onPost(r *http.Request) {
	if m := whoComes.FindStringSubmatch(r.UserAgent()); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n < len(f.slots) {
			f.slots[n].posted()
		}
	}
	f.aim.posted()
	if d := f.delay(); d > 0 {
		time.Sleep(d)
	}
}

const (
	// longestDelay is the longest that an answer is held up.
	longestDelay = 400 * time.Millisecond
	// busyMachine is how much later than it meant to a directory may get its turn.
	busyMachine = time.Second
)

// delay draws how long an answer is held up: mostly a moment, sometimes for longer than
// the client waits.
func (f *front) delay() time.Duration {
	f.delaying.Lock()
	defer f.delaying.Unlock()
	f.ledger.delays.Add(1)
	if f.delays.IntN(20) == 0 {
		f.ledger.overdue.Add(1)
		return longestDelay
	}
	return time.Duration(f.delays.Int64N(int64(100 * time.Millisecond)))
}

// want is how many faults of a class shall strike.
func (f *front) want(c Class) int {
	return map[Class]int{Kill: f.strength.Kills, Freeze: f.strength.Freezes, Cut: f.strength.Cuts, Restart: f.strength.Restarts}[c]
}

// fight runs all faults, keeps the queue filled meanwhile, and lets the last orders end.
func (f *front) fight(ctx context.Context, patience time.Duration) error {
	feeding, full := context.WithCancel(ctx)
	defer full()
	var fed sync.WaitGroup
	fed.Go(func() { f.feed(feeding) })
	if f.cluster != nil {
		fed.Go(func() { f.storm(feeding) })
	}
	var g errgroup.Group
	for i, s := range f.slots {
		counts := map[Class]int{}
		for _, c := range []Class{Kill, Freeze, Cut} {
			counts[c] = share(f.want(c), i, len(f.slots))
		}
		faults := schedule(s.rnd, counts)
		g.Go(func() error { return s.run(ctx, faults) })
	}
	restarts := schedule(f.rnd, map[Class]int{Restart: f.strength.Restarts})
	g.Go(func() error { return f.restart(ctx, restarts) })
	err := g.Wait()
	full()
	fed.Wait()
	if err != nil || ctx.Err() != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return f.drain(ctx, patience)
}

// close ends everything that the front started.
func (f *front) close() {
	for _, s := range f.slots {
		s.end()
	}
	if f.store != nil {
		_ = f.store.Close()
	}
	if f.cluster != nil {
		f.cluster.Close()
	}
	if f.web != nil {
		f.web.Close()
	}
}
