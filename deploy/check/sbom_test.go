package check

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestTheBillOfMaterialsNamesEveryModule runs `make sbom` and holds it against what Go
// says is in the binary.
func TestTheBillOfMaterialsNamesEveryModule(t *testing.T) {
	out := filepath.Join(t.TempDir(), "sbom.json")
	first := bill(t, out)
	var says struct {
		BomFormat string `json:"bomFormat"`
		Metadata  struct {
			Component struct{ Name, Version string }
		}
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal([]byte(first), &says); err != nil {
		t.Fatal(err)
	}
	if says.BomFormat != "CycloneDX" || says.Metadata.Component.Name != "github.com/directorybolt/directorybolt" {
		t.Errorf("format %q of %q", says.BomFormat, says.Metadata.Component.Name)
	}
	named := map[string]string{}
	for _, c := range says.Components {
		named[c.Name] = c.Version
	}
	linked := regexp.MustCompile(`(?m)^\tdep\t(\S+)\t(\S+)`).FindAllStringSubmatch(run(t, exec.Command("go", "version", "-m", binary)), -1)
	if len(linked) < 10 {
		t.Fatalf("only %d modules are linked", len(linked))
	}
	for _, m := range linked {
		if named[m[1]] != m[2] {
			t.Errorf("%s %s is linked, the bill says %q", m[1], m[2], named[m[1]])
		}
	}
	if again := bill(t, out); again != first {
		t.Error("a second bill of the same commit is another")
	}
}

func bill(t *testing.T, path string) string {
	t.Helper()
	cmd := exec.Command("make", "sbom", "SBOM="+path)
	cmd.Dir = root
	run(t, cmd)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
