// Package prometheus_test checks the rules and the board against the code, the runbook
// and Prometheus itself.
package prometheus_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/telemetry"
	"github.com/goccy/go-yaml"
)

// alerts are the rules, as far as these tests look.
type alerts struct {
	Groups []struct{ Rules []rule }
}

type rule struct {
	Alert, Record, Expr string // an alert, or a series that is recorded
	Labels, Annotations map[string]string
}

// all are the rules of every group.
func (a alerts) all() (all []rule) {
	for _, g := range a.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func rules(t *testing.T) (all alerts) {
	t.Helper()
	if err := yaml.Unmarshal(read(t, "rules.yml"), &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Groups) == 0 || len(all.Groups[0].Rules) == 0 {
		t.Fatal("no rules")
	}
	return all
}

func TestPromtoolFindsNoFaultAndEachRuleFiresOnWhatItIsFor(t *testing.T) {
	need := exec.Command("../../scripts/need.sh", "prometheus")
	if out, err := need.CombinedOutput(); err != nil {
		t.Fatalf("promtool is needed: %v\n%s", err, out)
	}
	for _, args := range [][]string{{"check", "rules", "rules.yml"}, {"test", "rules", "tests/rules.yml"}} {
		if out, err := exec.Command("promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestEachRuleIsTestedAndNamesAnEntryOfTheRunbook(t *testing.T) {
	tests := string(read(t, "tests/rules.yml"))
	anchors := headings(string(read(t, "../../docs/runbook.md")))
	const runbook = "https://github.com/directorybolt/directorybolt/blob/main/docs/runbook.md#"
	for _, r := range rules(t).all() {
		if r.Record != "" {
			continue
		}
		anchor, ours := strings.CutPrefix(r.Annotations["runbook_url"], runbook)
		if !ours || !slices.Contains(anchors, anchor) {
			t.Errorf("%s: the runbook has no entry %q", r.Alert, r.Annotations["runbook_url"])
		}
		if s := r.Labels["severity"]; s != "page" && s != "warn" {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s says nothing", r.Alert)
		}
		if strings.Count(tests, "alertname: "+r.Alert+"\n") < 2 {
			t.Errorf("%s is not tested both ways", r.Alert)
		}
	}
}

// headings are the anchors of a document, as GitHub makes them.
func headings(text string) (anchors []string) {
	for _, m := range regexp.MustCompile(`(?m)^##+ (.+)$`).FindAllStringSubmatch(text, -1) {
		plain := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		anchors = append(anchors, strings.ReplaceAll(plain, " ", "-"))
	}
	return anchors
}

var metricName = regexp.MustCompile(`directorybolt[_:][a-z_]+`)

func TestRulesAndBoardAskForMetricsThatThereAre(t *testing.T) {
	known := map[string]bool{}
	for _, f := range telemetry.NewMetrics().Families() {
		known[f.Name] = true
		if f.Type == "histogram" {
			known[f.Name+"_bucket"], known[f.Name+"_sum"], known[f.Name+"_count"] = true, true, true
		}
	}
	var exprs []string
	for _, r := range rules(t).all() {
		exprs, known[r.Record] = append(exprs, r.Expr), true
	}
	exprs = append(exprs, panels(t)...)
	for _, expr := range exprs {
		for _, name := range metricName.FindAllString(expr, -1) {
			if !known[name] {
				t.Errorf("there is no metric %s: %s", name, expr)
			}
		}
	}
}

// panels are the questions of the board.
func panels(t *testing.T) (exprs []string) {
	t.Helper()
	var board struct {
		Panels []struct {
			ID      int
			Type    string
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read(t, "../grafana/dashboards/directorybolt.json"), &board); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, p := range board.Panels {
		if seen[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		seen[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			exprs = append(exprs, target.Expr)
		}
	}
	return exprs
}
