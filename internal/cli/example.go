package cli

import (
	_ "embed"

	"github.com/directorybolt/directorybolt/internal/directory"
)

//go:embed example.yaml
var exampleProfile []byte

// exampleBusiness is the business of the demo. A test reads it, so it is readable.
func exampleBusiness() *directory.Business {
	b, err := directory.ParseProfile(exampleProfile)
	if err != nil {
		panic("cli: the example profile: " + err.Error())
	}
	return b
}
