package sqlite

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
)

// Times, ids and texts that may be missing are NULL in the file and zero in Go.

// moment scans INTEGER microseconds.
type moment struct{ *time.Time }

func (m moment) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*m.Time = time.Time{}
	case int64:
		*m.Time = fromMicros(v)
	default:
		return fmt.Errorf("scan %T as a time", v)
	}
	return nil
}

func fromMicros(v int64) time.Time { return time.UnixMicro(v).UTC() }

// maybe scans a value that may be NULL.
type maybe[T any] struct{ v *T }

func (m maybe[T]) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*m.v = *new(T)
	case T:
		*m.v = v
	default:
		return fmt.Errorf("scan %T as %T", v, *m.v)
	}
	return nil
}

// count scans an INTEGER that may be NULL.
type count struct{ v *int }

func (c count) Scan(v any) error {
	n, ok := v.(int64)
	if v != nil && !ok {
		return fmt.Errorf("scan %T as an integer", v)
	}
	*c.v = int(n)
	return nil
}

// document scans JSON text.
type document struct{ v *json.RawMessage }

func (d document) Scan(v any) error {
	s, ok := v.(string)
	if v != nil && !ok {
		return fmt.Errorf("scan %T as JSON", v)
	}
	if ok {
		*d.v = json.RawMessage(s)
	}
	return nil
}

// orNull is v, or NULL when it is zero.
func orNull[T comparable](v T) any {
	if v == *new(T) {
		return nil
	}
	return v
}

func idOrNull(id uuid.UUID) any {
	if id == uuid.Nil {
		return nil
	}
	return id.String()
}

func microsOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func textOrNull(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return string(b)
}

// textLimit bounds what people are told: a page pasted into an error is cut.
const textLimit = 8 << 10

// clean makes any bytes a text that every database and JSON reader takes.
func clean(s string) string {
	if len(s) > textLimit {
		s = s[:textLimit]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// list is v as a JSON array; v has only what JSON can say.
func list(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func jobFields(j *job.Job) []any {
	return []any{
		&j.ID, &j.Kind, &j.State, &j.Priority, moment{&j.DueAt}, &j.CustomerID, maybe[string]{&j.Package},
		count{&j.Quota}, count{&j.Shortfall}, &j.ValueCents, &j.Canary, document{&j.Payload},
		&j.Fence, &j.Attempt, &j.Failures, &j.Crashes, &j.MaxAttempts, &j.CrashBudget, &j.Quarantined, &j.Redrives,
		&j.WorkerID, moment{&j.CreatedAt}, moment{&j.ClaimedAt}, moment{&j.ProgressAt}, moment{&j.FinishedAt},
		maybe[string]{&j.Cause}, maybe[string]{&j.Class}, maybe[string]{&j.Signature}, maybe[string]{&j.IdempotencyKey},
	}
}

func scanJob(r row) (j job.Job, err error) {
	err = r.Scan(jobFields(&j)...)
	return j, err
}

func scanID(r row) (id uuid.UUID, err error) {
	err = r.Scan(&id)
	return id, err
}

func scanText(r row) (s string, err error) {
	err = r.Scan(&s)
	return s, err
}

func scanBool(r row) (b bool, err error) {
	err = r.Scan(&b)
	return b, err
}

func scanCount(r row) (n int64, err error) {
	err = r.Scan(&n)
	return n, err
}

func scanWorker(r row) (w job.Worker, err error) {
	var kinds json.RawMessage
	err = r.Scan(&w.ID, &w.Host, &w.PID, &w.Version, document{&kinds}, &w.Capacity, &w.Boot, moment{&w.StartedAt}, moment{&w.BeatAt},
		moment{&w.LeaseUntil}, moment{&w.RetiredAt}, maybe[string]{&w.RetiredCause})
	if err == nil {
		err = json.Unmarshal(kinds, &w.Kinds)
	}
	return w, err
}

func scanEvent(r row) (e job.Event, err error) {
	err = r.Scan(&e.ID, moment{&e.At}, &e.Type, &e.V, &e.JobID, &e.OrderID, &e.CustomerID, maybe[string]{&e.Directory},
		&e.WorkerID, maybe[int64]{&e.Fence}, &e.Actor, maybe[string]{&e.From}, maybe[string]{&e.To},
		maybe[string]{&e.Cause}, document{&e.Detail})
	return e, err
}
