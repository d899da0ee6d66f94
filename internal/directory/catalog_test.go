package directory

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// formEntry is the smallest entry that software can submit to.
const formEntry = `slug: acme
name: Acme
url: https://acme.example/
category: general
tier: 1
authority: 50
method: form
form:
  start: https://acme.example/add
  steps:
    - fields:
        - {name: company, profile: name}
success: [{text: thank you}]
`

func loadText(t testing.TB, files ...string) (*Catalog, error) {
	t.Helper()
	fsys := fstest.MapFS{}
	for i, text := range files {
		fsys[string(rune('a'+i))+".yaml"] = &fstest.MapFile{Data: []byte(text)}
	}
	return LoadFS(fsys, ".")
}

func mustLoad(t testing.TB, files ...string) *Catalog {
	t.Helper()
	c, err := loadText(t, files...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLoadReadsAFileOrADirectoryOfFiles(t *testing.T) {
	dir := t.TempDir()
	other := strings.ReplaceAll(formEntry, "acme", "other")
	list := "directories:\n- " + strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(formEntry, "acme", "listed")), "\n", "\n  ") + "\n"
	for name, text := range map[string]string{"acme.yaml": formEntry, "other.yml": other, "list.yaml": list, "notes.txt": "not read", ".hidden.yaml": "not: read"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range c.All() {
		got = append(got, d.Slug+" "+d.Source)
	}
	want := []string{
		"acme " + filepath.Join(dir, "acme.yaml") + ":1",
		"listed " + filepath.Join(dir, "list.yaml") + ":2",
		"other " + filepath.Join(dir, "other.yml") + ":1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("directory (-want +got):\n%s", diff)
	}
	one, err := Load(filepath.Join(dir, "acme.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if d, ok := one.BySlug("acme"); !ok || one.Len() != 1 || d.Form.Steps[0].Fields[0].Profile != "name" {
		t.Errorf("file: got %v", one.All())
	}
}

func TestLoadOfAMissingFileNamesIt(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "absent.yaml"))
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "absent.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestEmptyCatalogSaysSo(t *testing.T) {
	for name, fsys := range map[string]fstest.MapFS{
		"no file":    {},
		"empty file": {"a.yaml": {}},
		"empty list": {"a.yaml": {Data: []byte("directories: []")}},
		"null list":  {"a.yaml": {Data: []byte("directories:\n")}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadFS(fsys, ".")
			var faults *CatalogError
			if !errors.As(err, &faults) || len(faults.Findings) != 1 || !strings.Contains(err.Error(), "no directories in the catalog") {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := NewCatalog(); err == nil {
		t.Error("NewCatalog made an empty catalog")
	}
}

func TestSlugIsUniqueAcrossFiles(t *testing.T) {
	_, err := loadText(t, formEntry, "# second\n"+formEntry)
	if err == nil || !strings.Contains(err.Error(), `b.yaml:2: directory "acme": slug: is taken already, by a.yaml:1`) {
		t.Errorf("got %v", err)
	}
}

func TestVersionFollowsWhatAnEntrySays(t *testing.T) {
	get := func(text string) *Directory {
		d, ok := mustLoad(t, text).BySlug("acme")
		if !ok {
			t.Fatal("acme is gone")
		}
		return d
	}
	first, moved := get(formEntry), get("# a comment\n\n"+formEntry)
	if first.Version == "" || first.Version != moved.Version {
		t.Errorf("a comment changed the version from %q to %q", first.Version, moved.Version)
	}
	changed := strings.Replace(formEntry, "thank you", "thanks", 1)
	if get(changed).Version == first.Version {
		t.Error("another success rule has the same version")
	}
	if mustLoad(t, changed).Version() == mustLoad(t, formEntry).Version() {
		t.Error("the catalog's version did not follow its entry")
	}
}

func TestCatalogDoesNotChangeWithItsSlices(t *testing.T) {
	c := mustLoad(t, formEntry)
	c.All()[0] = nil
	if c.All()[0] == nil {
		t.Error("All handed out the catalog's own slice")
	}
}

func TestNewCatalogChecksWhatDidNotComeFromAFile(t *testing.T) {
	d, _ := mustLoad(t, formEntry).BySlug("acme")
	d2 := *d
	c, err := NewCatalog(d2)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := c.BySlug("acme"); got.Version != d.Version || got == &d2 {
		t.Errorf("got version %q, want %q", got.Version, d.Version)
	}
	d2.Success = nil
	_, err = NewCatalog(d2)
	want := `directory "acme": success: no rule — add at least one, without evidence nothing counts as submitted`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestMarshalledCatalogLoadsAgain(t *testing.T) {
	c, err := Load("../../examples/catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(map[string]any{"directories": c.All()})
	if err != nil {
		t.Fatal(err)
	}
	again, err := loadText(t, string(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if c.Version() != again.Version() {
		t.Errorf("version %s became %s:\n%s", c.Version(), again.Version(), text)
	}
}

func FuzzCatalog(f *testing.F) {
	f.Add([]byte(formEntry))
	f.Add([]byte("directories:\n- slug: a\n-\n- []\n"))
	f.Add([]byte(`{"directories":[{"slug":"a","form":{"steps":[{}]}}]}`))
	f.Add([]byte("a: &x [*x]"))
	f.Add([]byte("? [a]\n: b\n<<: {c: d}"))
	f.Add([]byte("a: |\n  b\n---\nc: !!int 3"))
	if example, err := os.ReadFile("../../examples/catalog.yaml"); err == nil {
		f.Add(example)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, findings := parseEntries("f.yaml", data)
		findings = append(findings, check(entries, "f.yaml")...)
		for _, x := range findings {
			if x.Message == "" || bytes.ContainsAny([]byte(x.String()), "\r\n") {
				t.Errorf("finding %q is not one line", x.String())
			}
		}
		c, err := build(entries, findings)
		if err != nil {
			return
		}
		text, err := yaml.Marshal(map[string]any{"directories": c.All()})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := loadText(t, string(text)); err != nil || again.Len() != c.Len() {
			t.Errorf("does not load again: %v\n%s", err, text)
		}
	})
}
