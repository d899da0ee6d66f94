package storetest

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// stepsAWalk is the mean length of one walk; a longer way is more walks, each
// on a store of its own.
const stepsAWalk = 200

// Model walks at random through the verbs of a store and compares it, after each
// step, with a model of a few lines. It holds that no stale write is ever
// accepted, that what is final stays so but for a redrive, that budgets are never
// exceeded, that the fence of a job only grows and by one, that a job has one
// live lease at most, and that the counts add up. Worker rows get lost on the way.
//
// STORETEST_STEPS overrides how many steps are made. A failure prints the seed
// that repeats it with -rapid.seed.
func Model(t *testing.T, f Factory) {
	probe := f(t, Options{})
	steps := probe.Steps
	if steps == 0 {
		steps = 2000
	}
	if text, ok := os.LookupEnv("STORETEST_STEPS"); ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("STORETEST_STEPS is %q, want a positive number", text)
		}
		steps = n
	}
	setFlag(t, "rapid.steps", strconv.Itoa(stepsAWalk))
	setFlag(t, "rapid.checks", strconv.Itoa(max(1, steps/stepsAWalk)))
	setFlag(t, "rapid.nofailfile", "true")
	setFlag(t, "rapid.shrinktime", "20s")
	walks := 0
	rapid.Check(t, func(rt *rapid.T) {
		walks++
		scope := &walkScope{TB: t, rt: rt, name: fmt.Sprintf("%s/walk-%d", t.Name(), walks)}
		defer scope.end()
		w := newWalk(scope, f)
		w.register(rt)
		w.enqueue(rt)
		rt.Repeat(map[string]func(*rapid.T){"": w.check, "step": w.step})
		w.checkHistories()
	})
}

// setFlag sets a flag of the rapid library for one test.
func setFlag(t *testing.T, name, value string) {
	t.Helper()
	before := flag.Lookup(name).Value.String()
	if err := flag.Set(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flag.Set(name, before) })
}

// walkScope is the testing.TB of one walk: it ends with the walk, so that a
// hundred walks do not hold a hundred stores open, and it reports to rapid.
type walkScope struct {
	testing.TB
	rt       *rapid.T
	name     string
	cleanups []func()
}

func (s *walkScope) Name() string                      { return s.name }
func (s *walkScope) Cleanup(f func())                  { s.cleanups = append(s.cleanups, f) }
func (s *walkScope) Helper()                           { s.rt.Helper() }
func (s *walkScope) Log(args ...any)                   { s.rt.Log(args...) }
func (s *walkScope) Logf(format string, args ...any)   { s.rt.Logf(format, args...) }
func (s *walkScope) Error(args ...any)                 { s.rt.Error(args...) }
func (s *walkScope) Errorf(format string, args ...any) { s.rt.Errorf(format, args...) }
func (s *walkScope) Fatal(args ...any)                 { s.rt.Fatal(args...) }
func (s *walkScope) Fatalf(format string, args ...any) { s.rt.Fatalf(format, args...) }
func (s *walkScope) Fail()                             { s.rt.Fail() }
func (s *walkScope) FailNow()                          { s.rt.FailNow() }
func (s *walkScope) Failed() bool                      { return s.rt.Failed() }

func (s *walkScope) end() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}
