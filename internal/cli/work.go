package cli

import (
	"context"
)

type workCmd struct{ performing }

// Help shows how it is typed.
func (workCmd) Help() string {
	return "Any number of them may work on one database. Each also takes back the jobs of workers that died. " +
		"SIGTERM drains: running jobs finish or are given back. A second signal ends the process at once.\n\n" +
		examples("DATABASE_URL=postgres://… directorybolt work --catalog catalog.yaml")
}

// Run works until the context ends.
func (workCmd) Run(ctx context.Context, a *app) error {
	h, err := a.house()
	if err != nil {
		return err
	}
	catalog, err := loadCatalog(h.config.Catalog)
	if err != nil {
		return err
	}
	s, err := h.open(ctx)
	return closing(s, err, func(s backend) error {
		p, err := h.process(ctx, s, catalog)
		if err != nil {
			return err
		}
		probes, err := h.probes(ctx, s, leased(s), p.draining.Load)
		if err != nil {
			p.close()
			return err
		}
		p.services = append(p.services, probes...)
		h.log.InfoContext(ctx, "started", "version", thisBuild().Version, "store", storeName(h.config), "directories", catalog.Len())
		defer h.log.InfoContext(ctx, "stopped")
		defer a.tellManager(ctx)()
		return p.run(ctx)
	})
}
