package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/directorybolt/directorybolt/internal/sandbox"
)

type sandboxCmd struct {
	BasePort  int      `default:"9100" placeholder:"PORT" help:"Directory i listens on this port plus i; 0 takes free ones. ${default} unless told."`
	Count     int      `default:"64" placeholder:"N" help:"How many directories; ${default} unless told."`
	Seed      int64    `placeholder:"N" help:"Of the directories' names."`
	Scale     float64  `default:"1" placeholder:"X" help:"Factor of all delays."`
	Behaviour []string `placeholder:"NAME" help:"Only directories that behave so; may be repeated."`
	Output    string   `short:"o" name:"catalog" type:"path" placeholder:"FILE" help:"Write the catalog of the sandbox there."`
}

// Help shows how it is typed.
func (sandboxCmd) Help() string {
	return "It listens on loopback only and keeps everything in memory. It counts what it accepted: the independent witness of \"once\".\n\n" +
		examples(
			"directorybolt sandbox --catalog sandbox.yaml &",
			"OUTBOUND_ALLOW=127.0.0.1 directorybolt all --catalog sandbox.yaml",
		)
}

// Run serves until the context ends.
func (c sandboxCmd) Run(ctx context.Context, a *app) error {
	h, err := a.house()
	if err != nil {
		return err
	}
	cfg := sandbox.Config{
		Count: c.Count, BasePort: c.BasePort, Seed: c.Seed, Scale: c.Scale, Behaviours: c.Behaviour, Log: h.log,
	}
	if err := cfg.Validate(); err != nil {
		return usage(err, "see: directorybolt sandbox --help")
	}
	box, err := sandbox.Start(ctx, cfg)
	if err != nil {
		return err
	}
	defer box.Close()
	if c.Output != "" {
		if err := writeCatalog(box, c.Output); err != nil {
			return err
		}
	}
	if err := c.tell(a, box); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (c sandboxCmd) tell(a *app, box *sandbox.Sandbox) error {
	if a.JSON {
		return a.object(struct {
			URL         string `json:"url"`
			Directories int    `json:"directories"`
			Catalog     string `json:"catalog,omitempty"`
		}{box.URL(), len(box.Catalog()), c.Output})
	}
	return a.printf("%s\n", box.URL())
}

// writeCatalog writes the whole catalog or nothing: who reads it may be waiting
// for the file to appear.
func writeCatalog(box *sandbox.Sandbox, path string) error {
	text, err := box.CatalogYAML()
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", text, 0o644); err != nil {
		return fmt.Errorf("write catalog of the sandbox: %w", err)
	}
	return os.Rename(path+".new", path)
}
