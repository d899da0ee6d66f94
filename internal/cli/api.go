package cli

import (
	"context"
)

type apiCmd struct {
	catalogFlag
	Bind string `setting:"BIND" placeholder:"ADDRESS" help:"Address to listen on."`
	Port int    `setting:"PORT" placeholder:"PORT" help:"Port to listen on; 0 takes a free one."`
}

// Help shows how it is typed.
func (apiCmd) Help() string {
	return "It takes orders in and answers questions; workers perform them. Any number of them may serve one database. " +
		"SIGTERM lets running requests end.\n\n" +
		examples("DATABASE_URL=postgres://… directorybolt api --bind 0.0.0.0 --port 8080")
}

// Run serves until the context ends.
func (apiCmd) Run(ctx context.Context, a *app) error {
	h, err := a.house()
	if err != nil {
		return err
	}
	catalog, err := loadCatalog(h.config.Catalog)
	if err != nil {
		return err
	}
	ln, err := a.listen(ctx, h.config)
	if err != nil {
		return err
	}
	defer func() { _ = ln.Close() }() // in case it did not come to serving
	s, err := h.open(ctx)
	return closing(s, err, func(s backend) error {
		relay, err := h.relay(ctx, s)
		if err != nil {
			return err
		}
		limits, err := h.limits(ctx, s)
		if err != nil {
			return err
		}
		p := &process{worker: idle, close: limits.close}
		watch, err := h.health(ctx, s, limits)
		if err != nil {
			limits.close()
			return err
		}
		p.services = append(relay, p.http(ln, s, h, catalog, limits, watch)...)
		h.log.InfoContext(ctx, "started", "version", thisBuild().Version, "store", storeName(h.config),
			"url", "http://"+ln.Addr().String(), "directories", catalog.Len())
		h.adviseKeys(ctx, s)
		p.services = append(p.services, h.tracer.Run)
		defer h.log.InfoContext(ctx, "stopped")
		defer a.tellManager(ctx)()
		return p.run(ctx)
	})
}

// idle works nothing until ctx ends.
func idle(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// adviseKeys says how to get in where nobody can.
func (h house) adviseKeys(ctx context.Context, s backend) {
	if keys, err := s.Keys(ctx); err == nil && len(keys) == 0 {
		h.log.InfoContext(ctx, "nobody has a key to the API yet", "remedy", "directorybolt keys create --role admin --name NAME")
	}
}
