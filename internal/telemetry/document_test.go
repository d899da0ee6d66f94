package telemetry_test

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/telemetry"
	gocmp "github.com/google/go-cmp/cmp"
)

const document = "../../docs/telemetry.md"

var update = flag.Bool("update", false, "write the tables of docs/telemetry.md")

func TestTheDocumentListsEveryMetricAndKey(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for name, table := range map[string]string{"metrics": metricsTable(), "keys": keysTable()} {
		want = replaceBetween(t, want, name, table)
	}
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(want, string(text)); diff != "" {
		t.Errorf("%s is not what the code says; run: go test ./internal/telemetry -update\n(-want +got):\n%s", document, diff)
	}
}

// replaceBetween puts table between the markers of that name.
func replaceBetween(t *testing.T, text, name, table string) string {
	t.Helper()
	begin, end := "<!-- "+name+": from the code -->\n", "<!-- end of "+name+" -->"
	before, rest, ok := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s: no markers %q and %q", document, begin, end)
	}
	return before + begin + table + end + after
}

func metricsTable() string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | says |\n|---|---|---|---|\n")
	for _, f := range telemetry.NewMetrics().Families() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, f.Type, cmp.Or(strings.Join(f.Labels, ", "), "–"), f.Help)
	}
	return b.String()
}

func keysTable() string {
	var b strings.Builder
	b.WriteString("| key | stands for |\n|---|---|\n")
	for _, k := range telemetry.Keys {
		fmt.Fprintf(&b, "| `%s` | %s |\n", k.Name, k.Meaning)
	}
	return b.String()
}

func TestEveryKeyConstantIsDescribed(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "keys.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var constants []string
	ast.Inspect(file, func(n ast.Node) bool {
		d, ok := n.(*ast.GenDecl)
		if !ok || d.Tok != token.CONST {
			return true
		}
		for _, spec := range d.Specs {
			for _, v := range spec.(*ast.ValueSpec).Values {
				name, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				constants = append(constants, name)
			}
		}
		return false
	})
	var described []string
	for _, k := range telemetry.Keys {
		described = append(described, k.Name)
	}
	slices.Sort(constants)
	slices.Sort(described)
	if diff := gocmp.Diff(constants, described); diff != "" {
		t.Errorf("keys (-constants +described):\n%s", diff)
	}
}
