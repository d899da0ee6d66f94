package sandbox

import (
	"testing"
	"testing/fstest"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/google/go-cmp/cmp"
)

func TestCatalogLintsClean(t *testing.T) {
	b := start(t, Config{})
	text := catalogYAML(t, b)
	findings, err := directory.LintFS(fstest.MapFS{"catalog.yaml": {Data: text}}, "catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		t.Error(f)
	}
	if _, err := directory.NewCatalog(b.Catalog()...); err != nil {
		t.Error(err)
	}
}

func catalogYAML(t testing.TB, b *Sandbox) []byte {
	t.Helper()
	text, err := b.CatalogYAML()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCatalogReadsBackAsWritten(t *testing.T) {
	b := start(t, Config{Scale: 0.3})
	text := catalogYAML(t, b)
	catalog, err := directory.LoadFS(fstest.MapFS{"catalog.yaml": {Data: text}}, "catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range b.Catalog() {
		got, ok := catalog.BySlug(want.Slug)
		if !ok {
			t.Errorf("the catalog lost %s", want.Slug)
			continue
		}
		read := *got
		read.Source, read.Version = "", ""
		if diff := cmp.Diff(read, want); diff != "" {
			t.Errorf("%s read back (-got +want):\n%s", want.Slug, diff)
		}
	}
}
