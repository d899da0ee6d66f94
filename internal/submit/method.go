package submit

import (
	"context"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// Method performs a submission in the way its directory asks for: by plain form,
// by browser, by API. Implementations are stateless between calls and safe for
// concurrent use.
type Method interface {
	// Submit fetches what must be fetched, fills it in, calls r.Intend exactly
	// once immediately before the first request with a body, and sends. When
	// Intend fails, nothing has been sent and nothing is: the error is returned.
	// Any other fault is in the Result, not an error.
	Submit(ctx context.Context, r Request) (Result, error)

	// Lookup asks the directory whether it has the business. It sends no body.
	Lookup(ctx context.Context, d *directory.Directory, b *directory.Business) Finding
}

// Request is one submission to perform.
type Request struct {
	Directory *directory.Directory
	Business  *directory.Business

	// Intend commits the intent and answers until when the effect may be sent.
	Intend func(ctx context.Context) (Deadline, error)
}

// Deadline tells how much time is left until nothing of an effect may be sent any
// more; zero or less: nothing may. It reads a clock that runs through suspend, so
// it is asked again before every write to the socket.
type Deadline func() time.Duration

// Result is what came of a Submit.
type Result struct {
	// Outcome is decided when its State is set: submitted, rejected, failed or
	// needs_action. With an empty State it is open, and Class says why: not_sent,
	// refused, or in_doubt. Its Evidence lacks the stored body's hash.
	Outcome directory.Outcome
	// RetryAfter is what a refusing host asked for, zero if it did not say.
	RetryAfter time.Duration
	// HostOK says that the host works; false counts against its breaker.
	HostOK bool
	// Page is the answer that decided, to be kept as evidence; nil if there was none.
	Page *Page
}

// Page is a fetched response.
type Page struct {
	URL       string
	Status    int
	MediaType string
	Body      []byte // cut at the size limit
}

// Presence is what a lookup can say.
type Presence string

const (
	Found   Presence = "found"
	Absent  Presence = "absent"
	Unknown Presence = "unknown" // no rule matched, no lookup rule, or no answer
)

// Finding is what came of a Lookup.
type Finding struct {
	Presence   Presence
	Reason     string // why Unknown, for people
	Evidence   *directory.Evidence
	ListingURL string
	HostOK     bool
	RetryAfter time.Duration
	Page       *Page
}
