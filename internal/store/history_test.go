package store_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// at is a moment n seconds after noon.
func at(n int) time.Time { return noon.Add(time.Duration(n) * time.Second) }

func lines(events []job.Event) []string {
	var told []string
	for _, e := range events {
		told = append(told, fmt.Sprintf("%d %s %d", int(e.At.Sub(noon).Seconds()), e.Type, e.Fence))
	}
	return told
}

func TestStoryTellsWhatOnlyTheRowAndTheDetailsRecord(t *testing.T) {
	ended, err := json.Marshal(store.Ended{ClaimedAt: at(1), Attempt: 1, Class: "transient"})
	if err != nil {
		t.Fatal(err)
	}
	id := job.NewID()
	j := job.Job{
		ID: id, Kind: job.KindNoop, State: job.Completed, CreatedAt: at(0), Fence: 2, WorkerID: job.NewID(),
		ClaimedAt: at(5), FinishedAt: at(6),
	}
	events := []job.Event{
		{At: at(2), Type: job.EventJobRetried, JobID: id, Fence: 1, Detail: ended},
		{At: at(9), Type: job.EventWriteFenced, JobID: id, Fence: 1, Detail: json.RawMessage(`{"verb":"complete"}`)},
	}
	want := []string{
		"0 job.created 0", "1 job.claimed 1", "2 job.retried 1", "5 job.claimed 2", "6 job.completed 2", "9 write.fenced 1",
	}
	if diff := cmp.Diff(lines(store.Story(j, events)), want); diff != "" {
		t.Errorf("story (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(store.Story(j, events), store.Story(j, events)); diff != "" {
		t.Errorf("told twice, it differs:\n%s", diff)
	}
}

func TestStoryTellsNothingTwice(t *testing.T) {
	id := job.NewID()
	j := job.Job{
		ID: id, Kind: job.KindOrder, State: job.Completed, CreatedAt: at(0), Fence: 1, WorkerID: job.NewID(),
		ClaimedAt: at(1), FinishedAt: at(2),
	}
	// All at one moment: a story has its order even then.
	events := []job.Event{
		{At: at(0), Type: job.EventJobCompleted, JobID: id, Fence: 1},
		{At: at(0), Type: job.EventJobClaimed, JobID: id, Fence: 1},
		{At: at(0), Type: job.EventOrderCreated, JobID: id},
	}
	want := []string{"0 order.created 0", "0 job.claimed 1", "0 job.completed 1"}
	if diff := cmp.Diff(lines(store.Story(j, events)), want); diff != "" {
		t.Errorf("story (-got +want):\n%s", diff)
	}
}
