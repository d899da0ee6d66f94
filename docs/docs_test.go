// Package docs_test checks the documents against the code they describe.
package docs_test

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	gocmp "github.com/google/go-cmp/cmp"
)

// arrow is an arrow of a diagram. Those from and to [*] are not among them.
type arrow struct{ From, To, Verb string }

var arrowLine = regexp.MustCompile(`(?m)^\s*([a-z_]+) --> ([a-z_]+): ([a-z]+)$`)

// diagram returns the arrows of the Mermaid diagram under a heading.
func diagram(t *testing.T, heading string) []arrow {
	t.Helper()
	text := read(t, "lifecycle.md")
	_, section, ok := strings.Cut(text, "\n## "+heading+"\n")
	_, drawn, begun := strings.Cut(section, "```mermaid\n")
	drawn, _, ended := strings.Cut(drawn, "```")
	if !ok || !begun || !ended {
		t.Fatalf("lifecycle.md: no Mermaid diagram under %q", heading)
	}
	var arrows []arrow
	for _, m := range arrowLine.FindAllStringSubmatch(drawn, -1) {
		arrows = append(arrows, arrow{m[1], m[2], m[3]})
	}
	lines := strings.Count(drawn, "-->") - strings.Count(drawn, "[*]")
	if len(arrows) != lines {
		t.Fatalf("lifecycle.md, %s: %d arrows are readable of %d", heading, len(arrows), lines)
	}
	return sorted(arrows)
}

func sorted(arrows []arrow) []arrow {
	slices.SortFunc(arrows, func(a, b arrow) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Verb, b.Verb))
	})
	return arrows
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestJobDiagramIsTheTransitionTable(t *testing.T) {
	var want []arrow
	for _, a := range job.Arrows {
		want = append(want, arrow{string(a.From), string(a.To), a.Verb})
	}
	if diff := gocmp.Diff(sorted(want), diagram(t, "Job")); diff != "" {
		t.Errorf("arrows of a job (-code +lifecycle.md):\n%s", diff)
	}
}

func TestSubmissionDiagramIsTheTransitionTable(t *testing.T) {
	var want []arrow
	for from, all := range directory.SubmissionArrows {
		for _, to := range all {
			want = append(want, arrow{string(from), string(to), submissionVerb(from, to)})
		}
	}
	if diff := gocmp.Diff(sorted(want), diagram(t, "Submission")); diff != "" {
		t.Errorf("arrows of a submission (-code +lifecycle.md):\n%s", diff)
	}
}

// submissionVerb is the method of submit.Ledger that draws an arrow.
func submissionVerb(from, to directory.SubmissionState) string {
	switch {
	case to == directory.Submitting:
		return "intend"
	case from == directory.Planned || from == directory.Submitting:
		return "settle"
	}
	return "observe"
}

func TestEveryStateHasArrowsInItsDiagram(t *testing.T) {
	for heading, states := range map[string][]string{
		"Job": words(job.States), "Submission": words(directory.SubmissionStates),
	} {
		drawn := map[string]bool{}
		for _, a := range diagram(t, heading) {
			drawn[a.From], drawn[a.To] = true, true
		}
		for _, s := range states {
			if !drawn[s] {
				t.Errorf("%s: state %s is in no arrow", heading, s)
			}
			delete(drawn, s)
		}
		if len(drawn) > 0 {
			t.Errorf("%s: the diagram has states that the code has not: %v", heading, drawn)
		}
	}
}

// The schemas guard the same states as the code, in both dialects.
func TestBothSchemasKnowTheSameStates(t *testing.T) {
	var final, holding []string
	for _, s := range job.States {
		if s.Final() {
			final = append(final, string(s))
		}
	}
	for _, s := range directory.SubmissionStates {
		if s.Holds() {
			holding = append(holding, string(s))
		}
	}
	for _, dialect := range []string{"postgres", "sqlite"} {
		schema := migrations(t, dialect)
		for _, guard := range []struct {
			what, pattern string
			want          []string
		}{
			{"states of a job", `CREATE TABLE jobs \((?s:.*?)\sstate\s(?s:[^,]*?)CHECK \(state IN \(([^)]*)\)`, words(job.States)},
			{"states of a submission", `CREATE TABLE submissions \((?s:.*?)\sstate\s(?s:[^,]*?)CHECK \(state IN \(([^)]*)\)`, words(directory.SubmissionStates)},
			{"states with a finished time", `jobs_finished CHECK \(\(finished_at IS NOT NULL\) = \(state IN \(([^)]*)\)`, final},
			{"states that hold a directory", `UNIQUE INDEX submissions_once ON submissions \(identity, directory\)\s+WHERE state IN \(([^)]*)\)`, holding},
		} {
			m := regexp.MustCompile(guard.pattern).FindAllStringSubmatch(schema, -1)
			if len(m) != 1 {
				t.Errorf("%s: %s stand in %d places, want one", dialect, guard.what, len(m))
				continue
			}
			got := quoted(m[0][1])
			slices.Sort(got)
			slices.Sort(guard.want)
			if diff := gocmp.Diff(guard.want, got); diff != "" {
				t.Errorf("%s: %s (-code +schema):\n%s", dialect, guard.what, diff)
			}
		}
	}
}

// migrations is the text of a dialect's migrations, in order.
func migrations(t *testing.T, dialect string) string {
	t.Helper()
	files, err := filepath.Glob("../internal/store/" + dialect + "/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("migrations of %s: found %d, error %v", dialect, len(files), err)
	}
	slices.Sort(files)
	var b strings.Builder
	for _, file := range files {
		b.WriteString(read(t, file))
	}
	return b.String()
}

func words[S ~string](states []S) []string {
	list := make([]string, len(states))
	for i, s := range states {
		list[i] = string(s)
	}
	return list
}

var sqlWord = regexp.MustCompile(`'([^']*)'`)

func quoted(list string) []string {
	var found []string
	for _, m := range sqlWord.FindAllStringSubmatch(list, -1) {
		found = append(found, m[1])
	}
	return found
}

var link = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)

func TestLinksBetweenDocumentsLeadSomewhere(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../*.md", "*.md", "adr/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		for _, m := range link.FindAllStringSubmatch(read(t, file), -1) {
			if strings.Contains(m[1], ":") {
				continue // another site
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", file, m[1])
			}
		}
	}
}

func TestEveryDecisionIsInTheIndex(t *testing.T) {
	index := read(t, "adr/README.md")
	files, err := filepath.Glob("adr/[0-9]*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("decisions: found %d, error %v", len(files), err)
	}
	for _, file := range files {
		if name := filepath.Base(file); !strings.Contains(index, "]("+name+")") {
			t.Errorf("adr/README.md does not list %s", name)
		}
	}
}

// A room that nobody described is a wall nobody planned; one that .golangci.yml
// does not name escapes the dependency rule.
func TestEveryRoomIsDescribedAndUnderTheDependencyRule(t *testing.T) {
	described, ruled := read(t, "architecture.md"), read(t, "../.golangci.yml")
	files, err := filepath.Glob("../internal/*/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("rooms: found %d files, error %v", len(files), err)
	}
	rooms := map[string]bool{}
	for _, file := range files {
		rooms[filepath.Base(filepath.Dir(file))] = true
	}
	for room := range rooms {
		if !strings.Contains(described, "`"+room+"`") {
			t.Errorf("architecture.md does not describe the room %s", room)
		}
		if !regexp.MustCompile(`[/{,]` + room + `[/},]`).MatchString(ruled) {
			t.Errorf(".golangci.yml has no rule for the room %s", room)
		}
	}
}
