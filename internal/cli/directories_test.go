package cli

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDirectoriesAreListedByCountry(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	entry := func(slug, country string) string {
		return "  - {slug: " + slug + ", name: Town " + slug + ", url: https://" + slug + ".example.com/, category: general, tier: 1, authority: 50, method: manual, " + country + "checked: 2026-11-20}\n"
	}
	catalog := filepath.Join(m.dir, "catalog.yaml")
	m.must(os.WriteFile(catalog, []byte("directories:\n"+entry("everywhere", "")+entry("north", "country: [US, CA], ")+entry("east", "country: [DE], ")), 0o600))
	list := "directories list --json --catalog " + catalog
	slugs := func(args string, want ...string) string {
		t.Helper()
		got := m.types("", list+args)
		pattern := `\A`
		for _, slug := range want {
			pattern += `\{[^\n]*"slug":"` + slug + `"[^\n]*\n`
		}
		m.says(got, ExitOK, pattern+`\z`, ``)
		return got.stderr
	}
	slugs("", "east", "everywhere", "north")
	slugs(" --country us", "everywhere", "north")
	slugs(" --country DE", "east", "everywhere")
	slugs(" --country FR", "everywhere")
	if got, want := slugs(" --package starter --country US", "everywhere", "north"), "the catalog is 48 directories short of the 50 of starter\n"; got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
	if got, want := slugs(" --package starter", "everywhere"), "the catalog is 49 directories short of the 50 of starter\n"+
		"2 directories left out, for businesses of certain countries only: --country CODE says which country\n"; got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
	for code, remedy := range map[string]string{"usa": `"USA" is no country code: write an ISO 3166-1 code`, "uk": `"UK" is no country code: write GB`, "XX": `"XX" is no country code`} {
		m.says(m.types("", list+" --country "+code), ExitUsage, `^$`, `^directorybolt: --country `+remedy)
	}
}
