package directory

import (
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
)

// SubmissionState says how far one directory of one order is.
type SubmissionState string

const (
	Planned     SubmissionState = "planned"      // chosen, nothing sent
	Submitting  SubmissionState = "submitting"   // the intent is committed; something may have been sent
	Submitted   SubmissionState = "submitted"    // accepted, with evidence
	Live        SubmissionState = "live"         // found on the directory
	Rejected    SubmissionState = "rejected"     // the directory said no
	FailedState SubmissionState = "failed"       // provably not accepted, for good
	Skipped     SubmissionState = "skipped"      // not tried, with a reason
	NeedsAction SubmissionState = "needs_action" // waits for a person
	Uncertain   SubmissionState = "uncertain"    // nobody can tell whether it was accepted; waits for a person
)

// SubmissionStates lists every state in the order of a report.
var SubmissionStates = []SubmissionState{Planned, Submitting, Submitted, Live, Rejected, FailedState, Skipped, NeedsAction, Uncertain}

// Valid reports whether s is one of [SubmissionStates].
func (s SubmissionState) Valid() bool { return slices.Contains(SubmissionStates, s) }

// Open reports whether the order's job still has work with it.
func (s SubmissionState) Open() bool { return s == Planned || s == Submitting }

// Holds reports whether the business may already stand in the directory because
// of this submission. At most one such submission exists per identity and
// directory; a unique index holds it.
func (s SubmissionState) Holds() bool {
	switch s {
	case Submitting, Submitted, Live, NeedsAction, Uncertain:
		return true
	}
	return false
}

// SubmissionArrows is the transition table of submissions; both schemas and
// docs/lifecycle.md are checked against it.
var SubmissionArrows = map[SubmissionState][]SubmissionState{
	Planned:    {Submitting, FailedState, Skipped, NeedsAction},
	Submitting: {Planned, Submitted, Rejected, FailedState, NeedsAction, Uncertain},
	Submitted:  {Live, Rejected},
	Uncertain:  {Submitted, Live, Rejected},
}

// Errors of the effect ledger.
var (
	// ErrTaken: another submission of the same business holds the directory.
	ErrTaken = errors.New("the directory already has this business")
	// ErrNoTime: too little is left of the lease to begin an effect.
	ErrNoTime = errors.New("too little of the lease is left")
)

// Kinds of action that a submission may need from a person.
const (
	NeedCaptcha           = "captcha"
	NeedLogin             = "login"
	NeedEmailVerification = "email_verification"
	NeedPhoneVerification = "phone_verification"
	NeedPayment           = "payment"
	NeedMissingField      = "missing_field"
	NeedTerms             = "terms"
	NeedCategoryChoice    = "category_choice"
	NeedManual            = "manual" // no automation allowed or known
)

// Classes of failed or interrupted submissions.
const (
	ClassNotSent       = "not_sent"       // DNS, dial or TLS failed: provably nothing sent
	ClassRefused       = "refused"        // 429, or 503 with Retry-After: refused unprocessed
	ClassInDoubt       = "in_doubt"       // the body may have arrived
	ClassPermanent     = "permanent"      // 4xx, form gone, validation
	ClassRobots        = "robots"         // robots.txt does not allow it
	ClassAlreadyListed = "already_listed" // another order holds the directory
	ClassBlocked       = "blocked"        // the address is not a public one
)

// Submission is one directory of one order.
type Submission struct {
	ID             uuid.UUID       `json:"id"`
	OrderID        uuid.UUID       `json:"order_id"`
	CustomerID     uuid.UUID       `json:"customer_id"`
	Directory      string          `json:"directory"` // slug
	Rank           int             `json:"rank"`      // order of selection, from 1; replacements follow
	Identity       string          `json:"-"`         // see Business.Identity
	State          SubmissionState `json:"state"`
	Fence          int64           `json:"fence,omitempty"` // of the claim that made the last intent
	Tries          int             `json:"tries"`           // intents committed so far, and looks that came to nothing before one
	DueAt          time.Time       `json:"due_at,omitzero"` // not to be tried before
	IntentAt       time.Time       `json:"intent_at,omitzero"`
	EffectDeadline time.Time       `json:"effect_deadline,omitzero"` // nothing of the last intent is sent after
	Class          string          `json:"class,omitempty"`
	Reason         string          `json:"reason,omitempty"`
	Need           string          `json:"need,omitempty"` // kind of action, when needs_action
	Evidence       *Evidence       `json:"evidence,omitempty"`
	ListingURL     string          `json:"listing_url,omitempty"`
	Replaced       bool            `json:"replaced,omitempty"` // another directory took its place in the quota
	Canary         bool            `json:"canary,omitempty"`
	CreatedAt      time.Time       `json:"created_at"`
	UpdatedAt      time.Time       `json:"updated_at"`
	LiveAt         time.Time       `json:"live_at,omitzero"`
}

// Evidence is what proves an outcome: the rule that matched and what it matched.
type Evidence struct {
	Rule      string    `json:"rule"`            // the success rule in words, as in the catalog
	URL       string    `json:"url"`             // page that showed it
	Status    int       `json:"status"`          // HTTP status of that page
	Excerpt   string    `json:"excerpt"`         // text around the match, at most 500 bytes
	SHA256    string    `json:"sha256"`          // of the stored response body
	MediaType string    `json:"media_type"`      // of the stored body
	Size      int64     `json:"size"`            // bytes stored
	Probe     bool      `json:"probe,omitempty"` // found by lookup, not in the answer to the post
	At        time.Time `json:"at"`
	Earlier   []string  `json:"earlier,omitempty"` // SHA-256 of bodies that proved it before
}

// Bodies are the stored bodies that the evidence refers to, the latest first.
func (e *Evidence) Bodies() []string {
	if e == nil {
		return nil
	}
	if e.SHA256 == "" {
		return slices.Clone(e.Earlier)
	}
	return append([]string{e.SHA256}, e.Earlier...)
}

// Outcome ends a try, or ends the submission without one.
type Outcome struct {
	State       SubmissionState
	Class       string
	Reason      string // text for people
	Need        string // with NeedsAction
	Evidence    *Evidence
	ListingURL  string
	Delay       time.Duration // with Planned: not to be tried before store's now plus this
	Replacement *Choice       // with FailedState and Skipped: takes its place in the quota
}

// Choice is a directory chosen for an order.
type Choice struct {
	Directory string // slug
	Rank      int
}

// Plan is the selection for an order. Quota = len(Choices) + Shortfall.
type Plan struct {
	Choices   []Choice
	Shortfall int
	Identity  string
}

// Count is how many submissions of an order are in a state.
type Count struct {
	State    SubmissionState
	Replaced bool // another directory took their place
	N        int
}
