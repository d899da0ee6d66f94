package acceptance

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// news is a message of the stream, and its id.
type news struct {
	mark  string
	Type  string
	ID    job.ID
	JobID job.ID `json:"job_id"`
}

// listen opens the stream of a process and returns what it tells. It ends with ctx.
func (o *studio) listen(ctx context.Context, url, lastID string) <-chan news {
	o.t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", url+"/api/events", nil)
	if err != nil {
		o.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+o.staff)
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	res, err := (&http.Client{}).Do(r) //nolint:bodyclose // by the goroutine that reads it
	if err != nil || res.StatusCode != http.StatusOK {
		o.t.Fatalf("the stream is answered with %+v, error %v", res, err)
	}
	told := make(chan news, 1000)
	go func() {
		defer res.Body.Close()
		defer close(told)
		var n news
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			switch name, text, _ := strings.Cut(lines.Text(), ": "); name {
			case "id":
				n.mark = text
			case "data":
				_ = json.Unmarshal([]byte(text), &n)
				told <- n
				n = news{}
			}
		}
	}()
	return told
}

// hear waits for an event and returns its mark.
func (o *studio) hear(from <-chan news, typ string, id job.ID) string {
	o.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case n, open := <-from:
			if !open {
				o.t.Fatalf("the stream ended before %s of %s", typ, id)
			}
			if n.Type == typ && n.JobID == id {
				return n.mark
			}
		case <-limit:
			o.t.Fatalf("nobody told of %s of %s", typ, id)
		}
	}
}

// What one process commits is heard at another; a client whose process is killed hears
// from the next what it missed.
func TestEventsAreHeardAtEveryProcess(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stack) {
		o := newStudio(t, s, time.Minute)
		mortal, url := o.serve()
		ctx, hangUp := context.WithCancel(t.Context())
		defer hangUp()
		told := o.listen(ctx, url, "")
		o.hear(told, "stream.ready", job.ID{})
		ended := func() job.ID {
			id := o.waiting(time.Hour)
			o.call(o.staff, "POST", "/api/jobs/"+id.String()+"/cancel", `{"reason":"a test"}`, nil)
			return id
		}
		mark := o.hear(told, job.EventJobCancelled, ended())
		mortal.kill()
		missed := ended()
		next := o.listen(ctx, o.urls[0], mark)
		o.hear(next, job.EventJobCancelled, missed)
		o.hear(next, job.EventJobCancelled, ended())
	})
}

// The claim of a worker hears at once what another process took in.
func TestAClaimHearsOfWorkAtAnotherProcess(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stack) {
		o := newStudio(t, s, time.Minute)
		o.urls = o.urls[:1] // who claims
		_, other := o.serve()
		var w struct {
			WorkerID job.ID `json:"worker_id"`
		}
		o.call(o.worker, "POST", "/api/worker/register", `{"host":"test","kinds":["example.wait"]}`, &w)
		claim := func() int {
			var got struct{ Jobs []struct{} }
			body := fmt.Sprintf(`{"worker_id":%q,"kinds":["example.wait"],"wait_seconds":20}`, w.WorkerID)
			if status := o.call(o.worker, "POST", "/api/worker/claim", body, &got); status != http.StatusOK {
				t.Errorf("the claim is answered with %d", status)
			}
			return len(got.Jobs)
		}
		found := make(chan int, 1)
		go func() { found <- claim() }()
		elsewhere := *o
		elsewhere.urls = []string{other}
		elsewhere.waiting(time.Second)
		if n := <-found; n != 1 {
			t.Errorf("claimed %d jobs, want the one of the other process", n)
		}
	})
}
