package directory

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with a file, or writes the file with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; go test -update rewrites it):\n%s", file, diff)
	}
}

func TestLintNamesEveryFaultWithItsLineAndRemedy(t *testing.T) {
	files, err := filepath.Glob("testdata/lint/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no lint files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			findings, err := Lint(file)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, f := range findings {
				got.WriteString(f.String() + "\n")
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", got.String())
			if _, err := Load(file); err == nil {
				t.Error("Load accepted what Lint faults")
			}
		})
	}
}

func TestFindingReadsAsOneLineThatEditorsJumpTo(t *testing.T) {
	text := strings.Replace(formEntry, "success: [{text: thank you}]\n", "", 1)
	findings, err := LintFS(fstest.MapFS{"catalog.yaml": {Data: []byte(text)}}, "catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) != 1 {
		t.Fatalf("got %d findings, want 1: %v", len(findings), findings)
	}
	got := findings[0].String()
	want := `catalog.yaml:1: directory "acme": success: no rule — add at least one, without evidence nothing counts as submitted`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLintWarnsWithoutRefusing(t *testing.T) {
	fsys := fstest.MapFS{"catalog.yaml": {Data: []byte(strings.Replace(formEntry, "text: thank you", "status: 200", 1))}}
	findings, err := LintFS(fsys, ".")
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) != 1 || findings[0].Severity != SeverityWarning {
		t.Fatalf("got %v, want one warning", findings)
	}
	if _, err := LoadFS(fsys, "."); err != nil {
		t.Errorf("a warning kept the catalog from loading: %v", err)
	}
}

func TestPeoplesDirectoriesNeedNeitherFormNorEvidence(t *testing.T) {
	for _, line := range []string{"requires_login: true", "has_captcha: true", "paid: true", "automation: forbidden"} {
		text := "slug: a\nname: A\nurl: https://a.example/\ncategory: general\ntier: 1\nauthority: 1\nmethod: form\n" + line + "\n"
		if _, err := LoadFS(fstest.MapFS{"a.yaml": {Data: []byte(text)}}, "."); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}
