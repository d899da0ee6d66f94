package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/directorybolt/directorybolt/internal/directory"
)

type directoriesCmd struct {
	List directoriesListCmd `cmd:"" help:"List the directories of the catalog."`
	Show directoriesShowCmd `cmd:"" help:"Show one directory as the catalog has it."`
	Lint directoriesLintCmd `cmd:"" help:"Check a catalog and name every fault with file and line."`
}

// Help shows how it is typed.
func (directoriesCmd) Help() string {
	return examples("directorybolt directories lint catalog.yaml", "directorybolt directories list --package starter --country US")
}

// catalogFlag is embedded by commands that need the catalog.
type catalogFlag struct {
	Catalog string `setting:"CATALOG" type:"path" placeholder:"PATH" help:"Catalog: a YAML file, or a directory of them."`
}

var errNoCatalog = errors.New("no catalog of directories is set")

// loadCatalog reads the catalog that the settings name.
func loadCatalog(path string) (*directory.Catalog, error) {
	if path == "" {
		return nil, usage(errNoCatalog, "give --catalog PATH or set CATALOG")
	}
	c, err := directory.Load(path)
	if err != nil {
		var faults *directory.CatalogError
		if errors.As(err, &faults) {
			return nil, usage(fmt.Errorf("load catalog %s: %w", path, err), "see: directorybolt directories lint "+path)
		}
		return nil, usage(err, "the catalog is what --catalog or CATALOG names")
	}
	if c.Len() == 0 {
		return nil, usage(fmt.Errorf("load catalog %s: it has no directories", path), "add entries to it")
	}
	return c, nil
}

type directoriesListCmd struct {
	catalogFlag
	Package *string `placeholder:"NAME" enum:"starter,growth,professional,enterprise" help:"Only what an order of this package would get, best first."`
	Country string  `placeholder:"CODE" help:"Only what takes businesses of this country, as DE or US."`
}

// Help shows how it is typed.
func (directoriesListCmd) Help() string {
	return examples("directorybolt directories list --catalog catalog.yaml", "directorybolt directories list --package starter --country US")
}

// Run lists the catalog.
func (c directoriesListCmd) Run(a *app) error {
	c.Country = strings.ToUpper(strings.TrimSpace(c.Country))
	if fault := directory.CountryFault(c.Country); c.Country != "" && fault != "" {
		return usage(fmt.Errorf("--country %s", fault), "")
	}
	s, err := a.settings()
	if err != nil {
		return err
	}
	catalog, err := loadCatalog(s.Catalog)
	if err != nil {
		return err
	}
	ds, err := c.chosen(a, catalog)
	if err != nil {
		return err
	}
	return list(a, ds, []string{"SLUG", "NAME", "TIER", "AUTHORITY", "COUNTRY", "METHOD", "SOFTWARE MAY", "URL"}, directoryRow)
}

func (c directoriesListCmd) chosen(a *app, catalog *directory.Catalog) ([]*directory.Directory, error) {
	if c.Package == nil {
		return slices.DeleteFunc(catalog.All(), func(d *directory.Directory) bool { return c.Country != "" && !d.Serves(c.Country) }), nil
	}
	p, err := directory.PackageByName(*c.Package)
	if err != nil {
		return nil, usage(err, "")
	}
	plan := directory.Select(catalog, directory.SelectRequest{Quota: p.Quota, Country: c.Country})
	ds := make([]*directory.Directory, 0, len(plan.Choices))
	for _, choice := range plan.Choices {
		if d, ok := catalog.BySlug(choice.Directory); ok {
			ds = append(ds, d)
		}
	}
	if plan.Shortfall > 0 {
		a.say("the catalog is %s short of the %d of %s", count(plan.Shortfall, "directory"), p.Quota, p.Name)
	}
	if n := local(catalog); n > 0 && c.Country == "" {
		a.say("%s left out, for businesses of certain countries only: --country CODE says which country", count(n, "directory"))
	}
	return ds, nil
}

// local counts the directories that an order gets for some countries only.
func local(catalog *directory.Catalog) (n int) {
	for _, d := range catalog.All() {
		if d.IsActive() && d.Method != directory.MethodCanary && len(d.Country) > 0 {
			n++
		}
	}
	return n
}

func directoryRow(d *directory.Directory) []string {
	may := "yes"
	switch {
	case !d.IsActive():
		may = "inactive"
	case d.Need() != "":
		may = "no: " + d.Need()
	}
	return []string{
		d.Slug, d.Name, strconv.Itoa(d.Tier), strconv.Itoa(d.Authority), strings.Join(d.Country, ","), string(d.Method), may, d.URL,
	}
}
