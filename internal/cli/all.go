package cli

import (
	"context"

	"github.com/directorybolt/directorybolt/internal/job"
)

// performing are the settings of a process that performs jobs.
type performing struct {
	catalogFlag
	Concurrency int `name:"worker-concurrency" setting:"WORKER_CONCURRENCY" placeholder:"N" help:"Jobs at once."`
}

type allCmd struct {
	performing
	Bind string `setting:"BIND" placeholder:"ADDRESS" help:"Address to listen on."`
	Port int    `setting:"PORT" placeholder:"PORT" help:"Port to listen on; 0 takes a free one."`
}

// Help shows how it is typed.
func (allCmd) Help() string {
	return "Without a DATABASE_URL the store is a SQLite file in the data directory, made and migrated at start; " +
		"one such process at a time holds the directory's lock. " +
		"SIGTERM drains: running jobs finish or are given back. A second signal ends the process at once.\n\n" +
		examples("directorybolt all --catalog catalog.yaml", "DATABASE_URL=postgres://… directorybolt all --catalog catalog/ --port 8080")
}

// Run serves until the context ends.
func (allCmd) Run(ctx context.Context, a *app) error {
	h, err := a.house()
	if err != nil {
		return err
	}
	catalog, err := loadCatalog(h.config.Catalog)
	if err != nil {
		return err
	}
	// The port comes first: who cannot have it has not touched anything.
	ln, err := a.listen(ctx, h.config)
	if err != nil {
		return err
	}
	defer func() { _ = ln.Close() }() // in case it did not come to serving
	s, err := h.openOwn(ctx)
	return closing(s, err, func(s backend) error {
		p, err := h.process(ctx, s, catalog)
		if err != nil {
			return err
		}
		letters, err := h.deadLetterMonitor(ctx, s)
		if err != nil {
			return err
		}
		alerting, err := h.alerting(ctx, s)
		if err != nil {
			return err
		}
		p.services = append(p.services, alerting...)
		p.services = append(p.services, letters.Run, retention(s, job.Retention{Finished: h.config.Retention()}, h.log))
		limits, err := h.limits(ctx, s)
		if err != nil {
			return err
		}
		defer limits.close()
		watch, err := h.health(ctx, s, limits)
		if err != nil {
			return err
		}
		p.services = append(p.services, p.http(ln, s, h, catalog, limits, watch)...)
		h.log.InfoContext(ctx, "started", "version", thisBuild().Version, "store", storeName(h.config),
			"url", "http://"+ln.Addr().String(), "directories", catalog.Len())
		h.adviseKeys(ctx, s)
		defer h.log.InfoContext(ctx, "stopped")
		defer a.tellManager(ctx)()
		return p.run(ctx)
	})
}
