package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/directorybolt/directorybolt/internal/config"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/sandbox"
	"github.com/directorybolt/directorybolt/internal/submit"
)

type demoCmd struct {
	Package string  `default:"starter" enum:"starter,growth,professional,enterprise" placeholder:"NAME" help:"The package to order; ${default} unless told."`
	Seed    int64   `default:"1" placeholder:"N" help:"Of the sandbox; the same seed gives the same directories."`
	Scale   float64 `default:"1" placeholder:"X" help:"Factor of the sandbox's delays."`
	Keep    string  `type:"path" placeholder:"DIR" help:"Keep the data there, to look at with the other commands and --data-dir."`
}

// Help shows how it is typed.
func (demoCmd) Help() string {
	return "Everything stays on this machine: the directories are a sandbox on loopback, the store a SQLite file in a temporary directory. " +
		"Some directories are slow, fail once, cut the connection after they accepted, or ask for a person. " +
		"The exit status is 5 when a directory got the business twice or the books do not balance.\n\n" +
		examples("directorybolt demo", "directorybolt demo --package growth --keep ./demo", "directorybolt demo --json | jq .witness")
}

// timeout ends a demo that hangs; it takes about ten seconds, and with the biggest
// package half a minute.
func (c demoCmd) timeout() time.Duration {
	return time.Duration(max(1, c.Scale) * float64(2*time.Minute))
}

// Run performs the demo.
func (c demoCmd) Run(ctx context.Context, a *app) error {
	pack, err := directory.PackageByName(c.Package)
	if err != nil {
		return usage(err, "")
	}
	cfg := sandbox.Config{Count: c.directories(pack), Seed: c.Seed, Scale: c.Scale}
	if err := cfg.Validate(); err != nil {
		return usage(err, "see: directorybolt demo --help")
	}
	dir, forget, err := c.dataDir()
	if err != nil {
		return err
	}
	defer forget()
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout(), fmt.Errorf("follow the order of the demo: not final within %s", c.timeout()))
	defer cancel()
	box, err := sandbox.Start(ctx, cfg)
	if err != nil {
		return err
	}
	defer box.Close()
	report, err := c.perform(ctx, a, box, pack, dir)
	if errors.Is(err, context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	return c.finish(a, report, box)
}

// directories is the size of the sandbox: some to spare for replacements.
func (demoCmd) directories(p directory.Package) int { return max(64, p.Quota+p.Quota/4) }

// dataDir is where the demo keeps its data, and how that is forgotten.
func (c demoCmd) dataDir() (dir string, forget func(), err error) {
	if c.Keep != "" {
		return c.Keep, func() {}, newDir(c.Keep)
	}
	dir, err = os.MkdirTemp("", "directorybolt-demo-")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}

// newDir makes a directory, which must not hold anything: a second order of the
// same business would find every directory taken.
func newDir(path string) error {
	if err := makeDataDir(path); err != nil {
		return err
	}
	found, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return usage(fmt.Errorf("keep the demo in %s: the directory is not empty", path), "name a new one")
	}
	return nil
}

// perform runs everything around one order and follows the order.
func (c demoCmd) perform(ctx context.Context, a *app, box *sandbox.Sandbox, pack directory.Package, dir string) (report orderReport, err error) {
	settings, catalog, err := c.prepare(a, box, dir)
	if err != nil {
		return report, err
	}
	logFile, err := os.Create(filepath.Join(dir, "demo.log"))
	if err != nil {
		return report, err
	}
	defer func() { _ = logFile.Close() }()
	h := house{config: settings, log: newLogger(settings, logFile)}
	s, err := h.openOwn(ctx)
	err = closing(s, err, func(s backend) error {
		p, err := h.process(ctx, s, catalog)
		if err != nil {
			return err
		}
		return p.during(ctx, func() (err error) {
			report, err = c.order(ctx, a, s, pack)
			return err
		})
	})
	return report, err
}

// prepare makes the settings of the demo. Nothing that is set on this machine
// for real orders may reach them.
func (c demoCmd) prepare(a *app, box *sandbox.Sandbox, dir string) (config.Config, *directory.Catalog, error) {
	path := filepath.Join(dir, "catalog.yaml")
	if err := writeCatalog(box, path); err != nil {
		return config.Config{}, nil, err
	}
	settings, _, err := config.Load(config.Sources{
		Args: map[string]string{
			"DATA_DIR":       dir,
			"CATALOG":        path,
			"OUTBOUND_ALLOW": "127.0.0.0/8",
			"BACKOFF_BASE":   "1s", // for who watches; real directories are given longer to recover
			"BACKOFF_CAP":    "8s",
			"POLL_INTERVAL":  "100ms",
			"DRAIN_GRACE":    "1s",
			"LOG_LEVEL":      a.flags["LOG_LEVEL"],
		},
		ReadFile: func(string) ([]byte, error) { return nil, os.ErrNotExist },
	})
	if err != nil {
		return settings, nil, err
	}
	catalog, err := loadCatalog(path)
	return settings, catalog, err
}

// order places the example order and follows it.
func (c demoCmd) order(ctx context.Context, a *app, s backend, pack directory.Package) (orderReport, error) {
	b := exampleBusiness()
	customer, err := s.EnsureCustomer(ctx, submit.Customer{Email: b.Email, Name: b.Name})
	if err != nil {
		return orderReport{}, err
	}
	spec, err := submit.OrderSpec(customer, b, pack, submit.OrderOptions{Actor: defaultActor()})
	if err != nil {
		return orderReport{}, err
	}
	placed, err := s.Enqueue(ctx, spec)
	if err != nil {
		return orderReport{}, err
	}
	a.say("%s orders %s: %s, %s", b.Name, pack.Name, count(pack.Quota, "directory"), dollars(pack.PriceCents))
	return follow(ctx, a.view(pack.Name+" order for "+b.Name), s, placed[0].ID)
}
