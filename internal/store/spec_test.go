package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
)

func TestCompleteFillsInWhatASpecLeavesOpen(t *testing.T) {
	given := []job.Spec{{Kind: "noop"}, {Kind: "noop", Priority: 2, MaxAttempts: 7, Actor: "cli:ann"}}
	got, err := store.Complete(given)
	if err != nil {
		t.Fatal(err)
	}
	if s := got[0]; s.ID.Version() != 7 || s.Priority != 4 || string(s.Payload) != "{}" || s.MaxAttempts != 5 || s.CrashBudget != 3 || s.Actor != "system" {
		t.Errorf("got %+v, want the defaults", s)
	}
	if s := got[1]; s.Priority != 2 || s.MaxAttempts != 7 || s.Actor != "cli:ann" || s.ID == got[0].ID {
		t.Errorf("got %+v, want what was given", s)
	}
	if given[0].Actor != "" {
		t.Error("the caller's own specs were changed")
	}
}

func TestCompleteNamesTheFaultyField(t *testing.T) {
	for want, bad := range map[string]job.Spec{
		"kind":            {},
		"priority":        {Kind: "noop", Priority: 5},
		"delay":           {Kind: "noop", Delay: -1},
		"quota":           {Kind: "noop", Quota: -1},
		"value_cents":     {Kind: "noop", ValueCents: -1},
		"max_attempts":    {Kind: "noop", MaxAttempts: 1 << 40},
		"crash_budget":    {Kind: "noop", CrashBudget: -1},
		"payload":         {Kind: "noop", Payload: []byte(`{} {}`)},
		"idempotency_key": {Kind: "noop", IdempotencyKey: "a\x00b"},
		"actor":           {Kind: "noop", Actor: "\xff"},
	} {
		var invalid *job.InvalidError
		if _, err := store.Complete([]job.Spec{bad}); !errors.As(err, &invalid) || invalid.Field != want {
			t.Errorf("got error %v, want field %s", err, want)
		}
		_, err := store.Complete([]job.Spec{{Kind: "noop"}, bad})
		if err == nil || !strings.HasPrefix(err.Error(), "specs[1]."+want+": ") {
			t.Errorf("of two: got error %v, want specs[1].%s named", err, want)
		}
	}
	for _, payload := range []string{"null", "[1]", `"x"`, `{"cut":`, "{\"a\":\"\xff\"}"} {
		if _, err := store.Complete([]job.Spec{{Kind: "noop", Payload: []byte(payload)}}); err == nil {
			t.Errorf("payload %q was accepted", payload)
		}
	}
}
