package acceptance

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// A list that is read page by page has each job once that was there when it began, while
// a worker ends them and others come. `make bench` does it with 50 000.
func TestPagesLoseAndRepeatNothingWhileWorkGoesOn(t *testing.T) {
	const rows = 3000
	onBoth(t, func(t *testing.T, s *stack) {
		s.set("RATE_LIMITS", "staff=100000/1m")
		_, url := s.serve()
		key := strings.TrimSpace(string(s.run("keys", "create", "--role", "staff", "--name", "test")))
		specs := slices.Repeat([]job.Spec{{Kind: job.KindNoop}}, rows)
		before, err := s.store().Enqueue(t.Context(), specs...)
		if err != nil {
			t.Fatal(err)
		}
		catalog, err := filepath.Abs("../../examples/catalog.yaml")
		if err != nil {
			t.Fatal(err)
		}
		worker := s.start("work", "--catalog", catalog)
		seen := map[job.ID]int{}
		changed := false // work went on meanwhile
		for cursor := ""; ; {
			p := readPage(t, url+"/api/jobs?limit=100&cursor="+cursor, key)
			for _, j := range p.Items {
				seen[j.ID]++
				changed = changed || j.State == job.Completed
			}
			if _, err := s.store().Enqueue(t.Context(), specs[:5]...); err != nil {
				t.Fatal(err)
			}
			if cursor = p.Next; cursor == "" {
				break
			}
			for deadline := time.Now().Add(time.Minute); len(seen) < 200 && s.completed() == 0; time.Sleep(10 * time.Millisecond) {
				worker.alive()
				if time.Now().After(deadline) {
					t.Fatal("the worker completes nothing")
				}
			}
		}
		if !changed {
			t.Error("no job was ended while the pages were read")
		}
		for _, j := range before {
			if seen[j.ID] != 1 {
				t.Fatalf("%s was listed %d times", j.ID, seen[j.ID])
			}
		}
	})
}

type jobsPage struct {
	Items []struct {
		ID    job.ID
		State job.State
	}
	Next string `json:"next_cursor"`
}

func readPage(t *testing.T, url, key string) (p jobsPage) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	res, err := web.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d, error %v", res.StatusCode, err)
	}
	return p
}

// completed counts what workers have completed.
func (s *stack) completed() int64 {
	s.t.Helper()
	counts, err := s.store().Counts(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return counts[job.Completed]
}
