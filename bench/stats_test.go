package main

import (
	"math"
	"strings"
	"testing"
)

func TestPercentileIsTheSmallestValueThatEnoughDoNotExceed(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3}
	for p, want := range map[float64]float64{0: 1, 20: 1, 21: 2, 50: 3, 99: 5, 100: 5} {
		if got := percentile(values, p); got != want {
			t.Errorf("p%g: got %g, want %g", p, got, want)
		}
	}
	if got := percentile(nil, 50); !math.IsNaN(got) {
		t.Errorf("of nothing: got %g, want NaN", got)
	}
}

func TestMedianOfAnEvenNumberIsBetweenTheMiddleTwo(t *testing.T) {
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("got %g, want 2.5", got)
	}
}

func TestNumberKeepsThreeDigits(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.1234: "0.12", 0.01234: "0.012", 10e6: "10 000 000", 12.34: "12.3", 123.4: "123", 1234: "1 230", 82345: "82 300", math.NaN(): "–"} {
		if got := number(v); got != want {
			t.Errorf("%g: got %q, want %q", v, got, want)
		}
	}
}

// found is a finding of two contenders in rounds of the given foreign shares.
func found(foreign ...float64) *finding {
	f := &finding{series: series{Title: "t", Metric: "jobs/s", Contenders: []contender{{Name: "a"}, {Name: "b"}}}}
	for i, share := range foreign {
		f.Rounds = append(f.Rounds, &round{Number: i + 1, Load: "1 1 1", Disturbed: share > 0.1, Results: []result{
			{Metrics: map[string]float64{"jobs/s": float64(10 * (i + 1))}, Usage: usage{Foreign: share}},
			{Metrics: map[string]float64{"jobs/s": 5}, Usage: usage{Foreign: share}},
		}})
	}
	return f
}

func TestDisturbedRoundsDoNotCount(t *testing.T) {
	f := found(0, 0.5, 0)
	rounds, disturbed := f.counted()
	if len(rounds) != 2 || disturbed {
		t.Fatalf("got %d rounds, disturbed %t; want 2, false", len(rounds), disturbed)
	}
	if got := ratios(rounds, 1, "jobs/s"); got[0] != 2 || got[1] != 6 {
		t.Errorf("ratios: got %v, want [2 6]", got)
	}
}

func TestARoundThatWasRepeatedCountsOnceByItsCalmestTry(t *testing.T) {
	f := found(0.5, 0.3, 0.9)
	for _, r := range f.Rounds {
		r.Number = 1
	}
	rounds, disturbed := f.counted()
	if len(rounds) != 1 || !disturbed || rounds[0] != f.Rounds[1] {
		t.Fatalf("got %d rounds, disturbed %t; want the second alone, disturbed", len(rounds), disturbed)
	}
}

func TestTheReportSaysWhatWasThrownAway(t *testing.T) {
	r := &report{Findings: []*finding{found(0, 0.5, 0)}}
	text := r.markdown()
	for _, want := range []string{"2 rounds, 1 more thrown away", "| jobs/s | 20 (10–30) | 5 (5–5) |"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestEveryPlannedTaskIsKnown(t *testing.T) {
	o := options{parts: partNames, stores: []string{"postgres", "sqlite"}, stale: []int{1}, kills: 1, killsTuned: 1, killsRiver: 1, killsWatched: 1}
	plan := o.plan(nil)
	if len(plan) < 15 {
		t.Fatalf("got %d series", len(plan))
	}
	for _, s := range plan {
		for _, c := range s.Contenders {
			if samples[c.Task.Do] == nil {
				t.Errorf("%s: nobody can %q", s.Title, c.Task.Do)
			}
		}
	}
}

func TestTheSummaryMarksWhatWasDisturbed(t *testing.T) {
	f := found(0, 0.5, 0)
	f.Contenders[0].Task.Store, f.Contenders[0].column, f.Contenders[1].column = "sqlite", oursColumn, bestColumn
	f.rows = []row{
		{what: "a drain, jobs/s", metrics: []string{"jobs/s"}, target: "3 ×"},
		{what: "a share", metrics: []string{"jobs/s"}, itself: true},
	}
	text := (&report{Rounds: 3, Findings: []*finding{f}}).markdown()
	for _, want := range []string{
		"| a drain, jobs/s, SQLite ¹ | 20 | 5 |  | 4 × | 3 × |\n", "| a share, SQLite ¹ | 4 |  |  |  |  |\n", "\n¹ fewer rounds",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
