package acceptance

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// block is a fenced block of a document.
var block = regexp.MustCompile("(?ms)^```(sh|json)\n(.*?)^```$")

// What docs/api.md tells to type works as it stands, in one shell from top to bottom;
// JSON that is shown after commands has the members that their last line has.
func TestTheCommandsOfTheGuideToTheAPIWork(t *testing.T) {
	guide, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("../../scripts/need.sh", "curl").CombinedOutput(); err != nil {
		t.Fatalf("curl: %v\n%s", err, out)
	}
	s := newStack(t, "sqlite")
	_, url := s.serve()
	const mark = "--- end of block ---"
	script, shown := "set -euo pipefail\n", [][]byte{}
	for _, m := range block.FindAllSubmatch(guide, -1) {
		if string(m[1]) == "json" {
			shown[len(shown)-1] = m[2]
			continue
		}
		shown = append(shown, nil)
		script += string(m[2]) + "printf '\\n%s\\n' '" + mark + "'\n"
	}
	if len(shown) < 5 {
		t.Fatalf("%d blocks of commands were found", len(shown))
	}
	script = strings.ReplaceAll(script, "http://127.0.0.1:8080", url)
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir, cmd.Env = s.dir, append(s.env, "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	var out, chatter bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &chatter
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.Bytes(), chatter.Bytes())
	}
	said := strings.Split(out.String(), mark)
	for i, want := range shown {
		if want == nil {
			continue
		}
		printed := strings.Split(strings.TrimSpace(said[i]), "\n")
		if got, want := members(t, []byte(printed[len(printed)-1])), members(t, want); !slices.Equal(got, want) {
			t.Errorf("block %d answers %v, and docs/api.md shows %v", i+1, got, want)
		}
	}
}

func members(t *testing.T, text []byte) []string {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return slices.Sorted(maps.Keys(v))
}
