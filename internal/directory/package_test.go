package directory

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPackagesAreWhatIsSold(t *testing.T) {
	want := []Package{
		{"starter", 50, 14900, 4},
		{"growth", 100, 29900, 3},
		{"professional", 300, 49900, 2},
		{"enterprise", 500, 79900, 1},
	}
	if diff := cmp.Diff(want, Packages()); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
}

func TestPackageByNameIgnoresCase(t *testing.T) {
	for _, name := range []string{"enterprise", "Enterprise", " ENTERPRISE "} {
		if p, err := PackageByName(name); err != nil || p.Quota != 500 {
			t.Errorf("%q: got %v, %v", name, p, err)
		}
	}
}

// An unknown package once fell back to the smallest one, so that the customers
// who had paid most were served worst.
func TestUnknownPackageIsRefused(t *testing.T) {
	for _, name := range []string{"", "pro", "platinum", "50"} {
		p, err := PackageByName(name)
		if !errors.Is(err, ErrUnknownPackage) || p != (Package{}) || !strings.Contains(err.Error(), "starter, growth, professional, enterprise") {
			t.Errorf("%q: got %v, %v", name, p, err)
		}
	}
}
