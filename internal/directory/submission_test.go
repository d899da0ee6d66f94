package directory

import (
	"slices"
	"testing"
)

func TestArrowsLeadBetweenStates(t *testing.T) {
	for from, to := range SubmissionArrows {
		for _, s := range append(slices.Clone(to), from) {
			if !s.Valid() {
				t.Errorf("%s: %q is no state", from, s)
			}
		}
	}
	if SubmissionState("done").Valid() {
		t.Error("any word is a state")
	}
}

// An order completes when no submission is open, so each open one needs a way out.
func TestOpenSubmissionsCanEnd(t *testing.T) {
	for _, s := range SubmissionStates {
		ends := slices.ContainsFunc(SubmissionArrows[s], func(to SubmissionState) bool { return !to.Open() })
		if s.Open() && !ends {
			t.Errorf("%s never ends", s)
		}
	}
}

// What may stand in the directory holds the place; what provably does not frees it.
func TestHoldsIsWhatMayStandInTheDirectory(t *testing.T) {
	want := []SubmissionState{Submitting, Submitted, Live, NeedsAction, Uncertain}
	for _, s := range SubmissionStates {
		if s.Holds() != slices.Contains(want, s) {
			t.Errorf("%s: got %v", s, s.Holds())
		}
	}
}
