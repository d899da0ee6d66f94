package cli

import (
	"github.com/directorybolt/directorybolt/internal/config"
)

// settings loads what is set, once, checks it as a whole, and passes warnings on.
func (a *app) settings() (config.Config, error) {
	if a.loaded != nil {
		return *a.loaded, nil
	}
	c, warnings, err := config.Load(config.Sources{Args: a.flags, Env: a.env, File: a.Config})
	for _, w := range warnings {
		a.say("directorybolt: warning: %s", w)
	}
	if err != nil {
		return c, usage(err, "see: directorybolt config print, docs/configuration.md")
	}
	a.loaded = &c
	return c, nil
}
