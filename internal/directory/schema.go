package directory

import (
	_ "embed"
	"slices"
)

//go:embed catalog.schema.json
var catalogSchema []byte

// Schema returns the JSON Schema (draft 2020-12) of catalog files, with which
// editors complete and check while one types. [Lint] is the judge and finds more.
func Schema() []byte { return slices.Clone(catalogSchema) }
