package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Version is the version of the body that [Hint.Encode] writes.
const Version = 1

// MaxBody is the longest body that is read, in bytes: what SQS carries at most.
const MaxBody = 1 << 20

// Hint names a job that may have something to do.
type Hint struct {
	JobID job.ID

	// What a hint may name more: the way to the right queue, and a help for people.
	// Nothing about a job is believed because a hint says so.
	CustomerID job.ID
	Priority   int       // 1 to 4; zero: not said
	RelayedAt  time.Time // when the relay handed it over; zero: somebody else sent it

	Earlier bool // the body had no version: it is of the earlier backend
}

// PoisonError says why a body names no job. Such a message is never acknowledged:
// the transport's count of receives brings it to the dead letter queue.
type PoisonError struct{ Reason string }

func (e *PoisonError) Error() string { return "poison message: " + e.Reason }

// IsPoison reports whether err is, or wraps, a [PoisonError].
func IsPoison(err error) bool { return errors.As(err, new(*PoisonError)) }

// Encode is the hint as a body.
func (h Hint) Encode() []byte {
	body, err := json.Marshal(struct {
		V          int       `json:"v"`
		JobID      job.ID    `json:"job_id"`
		CustomerID job.ID    `json:"customer_id,omitzero"`
		Priority   int       `json:"priority,omitempty"`
		RelayedAt  time.Time `json:"relayed_at,omitzero"`
	}{Version, h.JobID, h.CustomerID, h.Priority, h.RelayedAt})
	if err != nil {
		panic(err) // a year beyond 9999, which no clock shows
	}
	return body
}

// body is what is looked for in a message. Members that are not named here are
// left alone: a producer may say more than we ask.
type body struct {
	V           json.RawMessage `json:"v"`
	JobID       json.RawMessage `json:"job_id"`
	CustomerID  json.RawMessage `json:"customer_id"`
	Priority    json.RawMessage `json:"priority"`
	PackageSize json.RawMessage `json:"package_size"`
	RelayedAt   json.RawMessage `json:"relayed_at"`
}

// Decode reads a body: of [Version], or one of the earlier backend, which had no
// version. The error is a [*PoisonError]. What is unreadable beside a readable job
// id is as good as not said.
func Decode(text []byte) (Hint, error) {
	var b body
	if err := object(text, &b); err != nil {
		return Hint{}, err
	}
	earlier, err := versionOf(b.V)
	if err != nil {
		return Hint{}, err
	}
	id, err := jobID(b.JobID)
	if err != nil {
		return Hint{}, err
	}
	h := Hint{JobID: id, CustomerID: optionalID(b.CustomerID), Priority: priority(b.Priority), Earlier: earlier}
	if h.Priority == 0 {
		h.Priority = priority(b.PackageSize)
	}
	if !earlier {
		_ = json.Unmarshal(b.RelayedAt, &h.RelayedAt) // unreadable: not said
	}
	return h, nil
}

// object reads text as exactly one JSON object.
func object(text []byte, b *body) error {
	switch {
	case len(text) > MaxBody:
		return poison("the body has %d bytes, more than %d", len(text), MaxBody)
	case len(strings.TrimSpace(string(text))) == 0:
		return poison("the body is empty")
	case !utf8.Valid(text):
		return poison("the body is not UTF-8")
	}
	if err := json.Unmarshal(text, b); err != nil {
		if json.Valid(text) {
			return poison("the body is no JSON object")
		}
		return poison("the body is not JSON")
	}
	if strings.TrimSpace(string(text)) == "null" {
		return poison("the body is no JSON object")
	}
	return nil
}

func versionOf(v json.RawMessage) (earlier bool, err error) {
	if unsaid(v) {
		return true, nil
	}
	var n int
	switch err := json.Unmarshal(v, &n); {
	case err != nil || n < 1:
		return false, poison("its version is no whole number from 1")
	case n > Version:
		return false, poison("its version %d is newer than this program, which reads up to %d", n, Version)
	}
	return false, nil
}

func jobID(v json.RawMessage) (job.ID, error) {
	if unsaid(v) {
		return job.ID{}, poison("it names no job_id")
	}
	id := optionalID(v)
	if id == (job.ID{}) {
		return job.ID{}, poison("its job_id is not the id of a job")
	}
	return id, nil
}

// optionalID reads an id in its usual form; zero when it is anything else.
func optionalID(v json.RawMessage) job.ID {
	var s string
	if json.Unmarshal(v, &s) != nil || len(s) != 36 {
		return job.ID{}
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return job.ID{}
	}
	return id
}

// priorities are the words and package sizes by which earlier producers said how
// urgent a job is.
var priorities = map[string]int{
	"enterprise": 1, "500": 1,
	"professional": 2, "pro": 2, "300": 2,
	"growth": 3, "100": 3,
	"starter": 4, "50": 4,
}

// priority reads a number from 1 to 4, as number or text, or a package.
func priority(v json.RawMessage) int {
	var word string
	if json.Unmarshal(v, &word) != nil {
		word = string(v)
	}
	word = strings.ToLower(strings.TrimSpace(word))
	if n, err := strconv.Atoi(word); err == nil && n >= job.PriorityUrgent && n <= job.PriorityLowest {
		return n
	}
	return priorities[word]
}

func unsaid(v json.RawMessage) bool { return len(v) == 0 || string(v) == "null" }

func poison(format string, args ...any) error { return &PoisonError{fmt.Sprintf(format, args...)} }
