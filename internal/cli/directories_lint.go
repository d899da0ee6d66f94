package cli

import (
	"github.com/directorybolt/directorybolt/internal/directory"
)

type directoriesLintCmd struct {
	Paths []string `arg:"" optional:"" name:"path" type:"path" help:"Catalog files or directories; the catalog of the settings unless told."`
	catalogFlag
}

// Help shows how it is typed.
func (directoriesLintCmd) Help() string {
	return "The exit status is 1 when an entry would be refused; warnings alone leave it 0.\n\n" +
		examples("directorybolt directories lint catalog.yaml", "directorybolt directories lint catalog/ --json")
}

// Run checks the catalogs.
func (c directoriesLintCmd) Run(a *app) error {
	paths := c.Paths
	if len(paths) == 0 {
		s, err := a.settings()
		if err != nil {
			return err
		}
		if s.Catalog == "" {
			return usage(errNoCatalog, "name a file, give --catalog PATH or set CATALOG")
		}
		paths = []string{s.Catalog}
	}
	errors, warnings := 0, 0
	for _, path := range paths {
		findings, err := directory.Lint(path)
		if err != nil {
			return err
		}
		for _, f := range findings {
			if f.Severity == directory.SeverityError {
				errors++
			} else {
				warnings++
			}
			if err := c.tell(a, f); err != nil {
				return err
			}
		}
	}
	a.say("%s, %s", count(errors, "error"), count(warnings, "warning"))
	if errors > 0 {
		return exitWith(ExitFailure)
	}
	return nil
}

func (directoriesLintCmd) tell(a *app, f directory.Finding) error {
	if a.JSON {
		return a.object(f)
	}
	return a.printf("%s\n", f)
}
