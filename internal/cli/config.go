package cli

import (
	"github.com/directorybolt/directorybolt/internal/config"
)

type configCmd struct {
	Print configPrintCmd `cmd:"" help:"Show every setting, its value and where it comes from; secrets are redacted."`
	Check configCheckCmd `cmd:"" help:"Check the settings and name every fault."`
}

// Help shows how it is typed.
func (configCmd) Help() string {
	return examples("directorybolt config print", "directorybolt config check")
}

type configPrintCmd struct{}

// Help shows how it is typed.
func (configPrintCmd) Help() string {
	return "A flag wins over the environment, the environment over the file, the file over the default.\n\n" +
		examples("directorybolt config print", "directorybolt config print --config directorybolt.env --json")
}

// Run prints the settings.
func (configPrintCmd) Run(a *app) error {
	c, err := a.settings()
	if err != nil {
		return err
	}
	return list(a, c.Print(), []string{"SETTING", "VALUE", "SOURCE"}, func(p config.Printed) []string {
		return []string{p.Name, p.Value, p.Source}
	})
}

type configCheckCmd struct{}

// Help shows how it is typed.
func (configCheckCmd) Help() string {
	return "The exit status is 2 when something is wrong.\n\n" + examples("directorybolt config check")
}

// Run checks the settings.
func (configCheckCmd) Run(a *app) error {
	if _, err := a.settings(); err != nil {
		return err
	}
	if a.JSON {
		return a.object(map[string]bool{"ok": true})
	}
	return a.printf("settings are good\n")
}
