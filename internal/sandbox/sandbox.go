package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/goccy/go-yaml"
)

// MaxCount is the largest number of directories of one sandbox.
const MaxCount = 1000

// Config says how big the web is and how fast its troubles pass. The zero value
// is the demo's.
type Config struct {
	Count      int      // directories; 0 means 64
	Addr       string   // loopback address; empty means 127.0.0.1
	BasePort   int      // directory i listens on BasePort+i, the control page on BasePort+Count; 0: free ports
	Seed       int64    // of the directories' names
	Scale      float64  // of all delays; 0 means 1, at which nothing takes longer than a few seconds
	Behaviours []string // only these, in turn; empty: all, in the order of the show
	Log        *slog.Logger

	// OnPost is called when a post begins to arrive, before anything of it is read, and
	// delays it until it returns. Called concurrently; nil: nobody is told.
	OnPost func(r *http.Request)
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	c = c.withDefaults()
	if c.Count < 1 || c.Count > MaxCount {
		faults = append(faults, fmt.Errorf("count %d: must be 1 to %d", c.Count, MaxCount))
	}
	if a, err := netip.ParseAddr(c.Addr); err != nil || !a.IsLoopback() {
		faults = append(faults, fmt.Errorf("address %q: must be a loopback IP address such as 127.0.0.1", c.Addr))
	}
	if c.BasePort < 0 || c.BasePort+c.Count > 65535 {
		faults = append(faults, fmt.Errorf("base port %d: %d directories and the control page need ports up to %d; the highest is 65535",
			c.BasePort, c.Count, c.BasePort+c.Count))
	}
	if math.IsNaN(c.Scale) || c.Scale <= 0 || c.Scale > 100 {
		faults = append(faults, fmt.Errorf("scale %g: must be more than 0 and at most 100", c.Scale))
	}
	for _, name := range c.Behaviours {
		if _, ok := FindBehaviour(name); !ok {
			faults = append(faults, fmt.Errorf("behaviour %q is unknown: choose from %s", name, strings.Join(behaviourNames(), ", ")))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("settings of the sandbox: %w", err)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Count == 0 {
		c.Count = 64
	}
	if c.Addr == "" {
		c.Addr = "127.0.0.1"
	}
	if c.Scale == 0 {
		c.Scale = 1
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.OnPost == nil {
		c.OnPost = func(*http.Request) {}
	}
	return c
}

// Sandbox is a running web of directories. All methods may be called concurrently.
type Sandbox struct {
	cfg     Config
	started time.Time
	sites   []*site
	control *origin
	done    chan struct{} // closed when the sandbox ends; every delay ends with it
	once    sync.Once
	stop    func() bool // detaches from the context of Start
}

// Start opens all directories and the control page and serves them until Close
// or until ctx ends. When it returns an error nothing is left open.
func Start(ctx context.Context, cfg Config) (*Sandbox, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	b := &Sandbox{cfg: cfg, started: time.Now(), done: make(chan struct{})}
	if err := b.open(ctx); err != nil {
		b.Close()
		return nil, err
	}
	b.stop = context.AfterFunc(ctx, b.end)
	cfg.Log.InfoContext(ctx, "sandbox started", "directories", len(b.sites), "url", b.URL())
	return b, nil
}

func (b *Sandbox) open(ctx context.Context) error {
	port := func(i int) int {
		if b.cfg.BasePort == 0 {
			return 0
		}
		return b.cfg.BasePort + i
	}
	control, err := listen(ctx, b.cfg.Addr, port(b.cfg.Count), b.cfg.Log)
	if err != nil {
		return fmt.Errorf("open the control page of the sandbox: %w", err)
	}
	b.control = control
	names := directoryNames(b.cfg.Count, rand.New(rand.NewPCG(uint64(b.cfg.Seed), 0)))
	for i, behaviour := range cast(b.cfg.Count, b.cfg.Behaviours) {
		s := newSite(b, i, names[i], behaviour)
		b.sites = append(b.sites, s)
		if err := s.open(ctx, port(i)); err != nil {
			return fmt.Errorf("open directory %s of the sandbox: %w", s.slug, err)
		}
	}
	for _, s := range b.sites {
		s.serve()
	}
	b.control.serve(b.controlRoutes())
	return nil
}

// Close ends all listeners, connections and delays, and waits until no handler
// runs any more. It may be called again.
func (b *Sandbox) Close() {
	if b.stop != nil {
		b.stop()
	}
	b.end()
}

func (b *Sandbox) end() {
	b.once.Do(func() { close(b.done) })
	for _, s := range b.sites {
		s.close()
	}
	if b.control != nil {
		b.control.close()
	}
}

// URL is the address of the control page.
func (b *Sandbox) URL() string { return b.control.url }

// Catalog lists the directories as the catalog describes them, by authority.
func (b *Sandbox) Catalog() []directory.Directory {
	out := make([]directory.Directory, len(b.sites))
	for i, s := range b.sites {
		out[i] = s.entry()
	}
	return out
}

// CatalogYAML is the catalog in the documented format.
func (b *Sandbox) CatalogYAML() ([]byte, error) {
	doc := struct {
		Directories []directory.Directory `yaml:"directories"`
	}{b.Catalog()}
	out, err := yaml.MarshalWithOptions(doc, yaml.OmitEmpty(), yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("write the catalog of the sandbox: %w", err)
	}
	return out, nil
}

// Behaviour returns the behaviour of a directory of this sandbox.
func (b *Sandbox) Behaviour(slug string) (Behaviour, bool) {
	for _, s := range b.sites {
		if s.slug == slug {
			return *s.behaviour, true
		}
	}
	return Behaviour{}, false
}
