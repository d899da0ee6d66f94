package cli

import (
	"github.com/directorybolt/directorybolt/internal/config"
)

// settings loads what is set, checks it as a whole, and passes warnings on.
func (a *app) settings() (config.Config, error) {
	c, warnings, err := config.Load(config.Sources{Args: a.flags, Env: a.env, File: a.Config})
	for _, w := range warnings {
		a.say("directorybolt: warning: %s", w)
	}
	if err != nil {
		return c, usage(err, "see: directorybolt config print, docs/configuration.md")
	}
	return c, nil
}
