package queue_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/directorybolt/directorybolt/internal/queue"
)

const jobText = "01890a5d-ac96-774b-bcce-b302099a8057"

var (
	jobID      = uuid.MustParse(jobText)
	customerID = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8058")
)

func TestHintReadsWhatItWrites(t *testing.T) {
	want := queue.Hint{JobID: jobID, CustomerID: customerID, Priority: 2, RelayedAt: time.Date(2026, 11, 26, 6, 40, 0, 5000, time.UTC)}
	got, err := queue.Decode(want.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestHintOfTheContractIsWrittenAsItSays(t *testing.T) {
	if got, want := string(queue.Hint{JobID: jobID}.Encode()), `{"v":1,"job_id":"`+jobText+`"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEarlierBodiesAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want queue.Hint
	}{
		"everything": {
			`{"job_id":"` + jobText + `","customer_id":"` + customerID.String() + `","package_size":300,"priority":"starter",
			  "created_at":"2025-11-02T10:00:00Z","source":"intake","metadata":{"a":[1]},"retry_attempt":2,
			  "requeued_by":"stale-monitor","requeued_at":"2025-11-02T10:20:00Z"}`,
			queue.Hint{JobID: jobID, CustomerID: customerID, Priority: 4, Earlier: true},
		},
		"priority as a number": {`{"job_id":"` + jobText + `","priority":1}`, queue.Hint{JobID: jobID, Priority: 1, Earlier: true}},
		"priority as text":     {`{"job_id":"` + jobText + `","priority":"2"}`, queue.Hint{JobID: jobID, Priority: 2, Earlier: true}},
		"package as a number":  {`{"job_id":"` + jobText + `","package_size":50}`, queue.Hint{JobID: jobID, Priority: 4, Earlier: true}},
		"package as a name":    {`{"job_id":"` + jobText + `","package_size":"Pro"}`, queue.Hint{JobID: jobID, Priority: 2, Earlier: true}},
		"what nobody knows":    {`{"job_id":"` + jobText + `","priority":"gold","package_size":{},"customer_id":7}`, queue.Hint{JobID: jobID, Earlier: true}},
		"version said as null": {`{"v":null,"job_id":"` + jobText + `"}`, queue.Hint{JobID: jobID, Earlier: true}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := queue.Decode([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

func TestUnreadableBodiesArePoisonWithAReason(t *testing.T) {
	for name, c := range map[string]struct{ body, reason string }{
		"empty":               {"", "the body is empty"},
		"blank":               {" \n", "the body is empty"},
		"no JSON":             {"order 5", "the body is not JSON"},
		"half of it":          {`{"v":1,"job_id":"` + jobText, "the body is not JSON"},
		"two of them":         {`{"v":1,"job_id":"` + jobText + `"}{}`, "the body is not JSON"},
		"a list":              {`["` + jobText + `"]`, "the body is no JSON object"},
		"a text":              {`"` + jobText + `"`, "the body is no JSON object"},
		"null":                {"null", "the body is no JSON object"},
		"no UTF-8":            {"{\"job_id\":\"\xff\"}", "the body is not UTF-8"},
		"no job":              {`{"v":1}`, "it names no job_id"},
		"null job":            {`{"v":1,"job_id":null}`, "it names no job_id"},
		"job of another kind": {`{"v":1,"job_id":42}`, "its job_id is not the id of a job"},
		"job of other form":   {`{"v":1,"job_id":"{` + jobText + `}"}`, "its job_id is not the id of a job"},
		"job that is none":    {`{"v":1,"job_id":"00000000-0000-0000-0000-000000000000"}`, "its job_id is not the id of a job"},
		"later version":       {`{"v":2,"job_id":"` + jobText + `"}`, "its version 2 is newer than this program, which reads up to 1"},
		"version as text":     {`{"v":"1","job_id":"` + jobText + `"}`, "its version is no whole number from 1"},
		"version 0":           {`{"v":0,"job_id":"` + jobText + `"}`, "its version is no whole number from 1"},
		"a nested bomb":       {strings.Repeat(`{"job_id":`, 100_000), "the body is not JSON"},
		"too long":            {`{"v":1,"job_id":"` + jobText + `","x":"` + strings.Repeat("x", queue.MaxBody) + `"}`, "the body has 1048638 bytes, more than 1048576"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := queue.Decode([]byte(c.body))
			var p *queue.PoisonError
			if !errors.As(err, &p) || !queue.IsPoison(err) {
				t.Fatalf("got %v, want a poison message", err)
			}
			if p.Reason != c.reason {
				t.Errorf("got %q, want %q", p.Reason, c.reason)
			}
		})
	}
}

func TestLanesTakeEachPriority(t *testing.T) {
	a, b := new(lane), new(lane)
	for _, c := range []struct {
		lanes    queue.Lanes
		priority int
		want     queue.Queue
	}{
		{queue.Lanes{a}, 1, a}, {queue.Lanes{a}, 4, a}, {queue.Lanes{a}, 0, a},
		{queue.Lanes{a, b}, 1, a}, {queue.Lanes{a, b}, 2, b}, {queue.Lanes{a, b}, 4, b}, {queue.Lanes{a, b}, 0, b}, {queue.Lanes{a, b}, -1, b},
	} {
		if got := c.lanes.For(c.priority); got != c.want {
			t.Errorf("of %d lanes priority %d takes %p, want %p", len(c.lanes), c.priority, got, c.want)
		}
	}
}

type lane struct {
	queue.Queue
	_ byte // two of them have two addresses
}

// FuzzDecode: whatever arrives is a hint that survives being sent on, or poison.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"", "null", "[]", "{}", `{"v":1}`, `{"v":1,"job_id":"` + jobText + `"}`, `{"v":1e0,"job_id":"` + jobText + `","relayed_at":"9999-12-31T23:59:59Z"}`,
		`{"job_id":"` + jobText + `","package_size":"growth","priority":3,"customer_id":null}`, "{\"job_id\":\"\x00\"}", `{"job_id":{"job_id":[[[[]]]]}}`, "<!channel> `x`",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := queue.Decode(text)
		if err != nil {
			if !queue.IsPoison(err) || h != (queue.Hint{}) {
				t.Fatalf("%v with %+v is neither a hint nor poison", err, h)
			}
			return
		}
		if h.JobID == (uuid.UUID{}) || h.Priority < 0 || h.Priority > 4 {
			t.Fatalf("hint %+v", h)
		}
		again, err := queue.Decode(h.Encode())
		if err != nil || again.JobID != h.JobID || again.Priority != h.Priority || !again.RelayedAt.Equal(h.RelayedAt) {
			t.Fatalf("%+v was sent on as %+v, %v", h, again, err)
		}
	})
}
