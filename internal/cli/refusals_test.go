package cli

import "testing"

func TestNonsenseIsRefusedBeforeAnythingIsDone(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	for args, want := range map[string]string{
		"health --url nonsense":                `--url "nonsense" is not where a process answers \(write it like https://api\.example\.com or`,
		"health --ready --url ftp://127.0.0.1": `--url "ftp://127\.0\.0\.1" is not where`,
		"health --url http://":                 `--url "http://" is not where`,
		"health --timeout=-1s":                 `--timeout -1s: nobody can answer in no time`,
		"health --direct --timeout 0s":         `--timeout 0s: `,
		"verify --url nonsense":                `--url "nonsense" is not where a process answers`,
		"verify --metrics 127.0.0.1:9090":      `--metrics "127\.0\.0\.1:9090" is not where`,
		"verify --limit 0":                     `--limit 0 is out of range`,
		"verify --watch=-1h":                   `--watch -1h0m0s is no time to come`,
		"verify --watch 1h --every 0s":         `--every 0s is no time between two rounds`,
		"demo --scale=-1":                      `scale -1: must be more than 0 and at most 100 \(see: directorybolt demo --help\)`,
		"demo --scale NaN":                     `scale NaN: must be more than 0`,
	} {
		m.says(m.types("", args), ExitUsage, `^$`, `^directorybolt: .*`+want)
	}
	if workers, err := m.Workers(t.Context(), 0); err != nil || len(workers) != 1 {
		t.Errorf("%d workers, error %v; the morgue has one", len(workers), err)
	}
}
