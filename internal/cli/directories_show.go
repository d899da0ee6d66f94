package cli

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

type directoriesShowCmd struct {
	Slug string `arg:"" help:"The directory's slug."`
	catalogFlag
}

// Help shows how it is typed.
func (directoriesShowCmd) Help() string {
	return examples("directorybolt directories show acme-local --catalog catalog.yaml")
}

// Run prints the entry.
func (c directoriesShowCmd) Run(a *app) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	catalog, err := loadCatalog(s.Catalog)
	if err != nil {
		return err
	}
	d, ok := catalog.BySlug(c.Slug)
	if !ok {
		return notFound(fmt.Errorf("no directory %q in %s", c.Slug, s.Catalog), "see: directorybolt directories list")
	}
	if a.JSON {
		return a.object(d)
	}
	text, err := yaml.MarshalWithOptions(d, yaml.OmitEmpty(), yaml.IndentSequence(true))
	if err != nil {
		return fmt.Errorf("print directory %s: %w", d.Slug, err)
	}
	if err := a.printf("%s", text); err != nil {
		return err
	}
	a.say("from %s", d.Source)
	return nil
}
