package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Package is what a customer buys: so many directories, for so much, so urgent.
type Package struct {
	Name       string `json:"name"`
	Quota      int    `json:"quota"` // directories
	PriceCents int64  `json:"price_cents"`
	Priority   int    `json:"priority"` // of its jobs; 1 is most urgent
}

// packages is the only table of packages there is.
var packages = []Package{
	{Name: "starter", Quota: 50, PriceCents: 149_00, Priority: 4},
	{Name: "growth", Quota: 100, PriceCents: 299_00, Priority: 3},
	{Name: "professional", Quota: 300, PriceCents: 499_00, Priority: 2},
	{Name: "enterprise", Quota: 500, PriceCents: 799_00, Priority: 1},
}

// ErrUnknownPackage is matched by the error of [PackageByName]. A package that
// nobody sells is refused; it never falls back to another one.
var ErrUnknownPackage = errors.New("unknown package")

// Packages lists the packages, smallest first.
func Packages() []Package { return slices.Clone(packages) }

// PackageByName finds a package, without regard to case. The error wraps
// [ErrUnknownPackage] and lists the names there are.
func PackageByName(name string) (Package, error) {
	wanted := strings.ToLower(strings.TrimSpace(name))
	names := make([]string, 0, len(packages))
	for _, p := range packages {
		if p.Name == wanted {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Package{}, fmt.Errorf("%w %q: choose one of %s", ErrUnknownPackage, name, strings.Join(names, ", "))
}
