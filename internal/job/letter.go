package job

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"time"
)

// Letter is a dead letter. Each death of a job leaves one, so that a job which was
// redriven and died again has two; what the dead letter queue held and no job of
// ours explains leaves one too. A letter is open until somebody decides about it.
type Letter struct {
	ID         ID        `json:"id"`
	JobID      ID        `json:"job_id,omitzero"` // zero: a message that names no job of ours
	Kind       string    `json:"kind,omitempty"`
	CustomerID ID        `json:"customer_id,omitzero"`
	ValueCents int64     `json:"value_cents"`
	Canary     bool      `json:"canary,omitempty"`
	Cause      string    `json:"cause"`
	Class      string    `json:"class"`
	Signature  string    `json:"signature"`
	Attempts   int       `json:"attempts"` // of the life that ended
	Redrives   int       `json:"redrives"` // before that life's end
	At         time.Time `json:"at"`       // when it died, or was first seen

	Fate       Fate      `json:"fate,omitempty"` // empty: open
	By         By        `json:"by,omitzero"`    // of the decision
	RedrivenAt time.Time `json:"redriven_at,omitzero"`
	ResolvedAt time.Time `json:"resolved_at,omitzero"`

	// What the dead letter queue has of it. Of a letter without a job this is all
	// there is.
	MessageID string    `json:"message_id,omitempty"`
	Body      []byte    `json:"body,omitempty"`
	Receives  int       `json:"receives,omitempty"`
	SentAt    time.Time `json:"sent_at,omitzero"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	CopiedAt  time.Time `json:"copied_at,omitzero"` // when the copy of a job's letter went there

	// Directories of the order, filled in by lists.
	Done int `json:"directories_done"`
	Left int `json:"directories_left"` // planned, or under way when it died
}

// Open reports whether nobody has decided about the letter.
func (l *Letter) Open() bool { return l.Fate == "" }

// GroupID is the letter's group in few characters, as people type it.
func (l *Letter) GroupID() string { return GroupID(l.Signature) }

// GroupID names a signature in few characters that a shell leaves alone.
func GroupID(signature string) string {
	sum := sha256.Sum256([]byte(TidySignature(signature)))
	return hex.EncodeToString(sum[:5])
}

// groupID is how [GroupID] looks.
var groupID = regexp.MustCompile(`^[0-9a-f]{10}$`)

// SignatureOf finds the signature that a person means: a group's id stands for its
// signature, any other text for itself. ErrNotFound when no letter is of the group.
func SignatureOf(ctx context.Context, s Letters, text string) (string, error) {
	if !groupID.MatchString(text) {
		return text, nil
	}
	groups, err := s.LetterGroups(ctx, LetterFilter{Decided: true, Canaries: true})
	if err != nil {
		return "", err
	}
	found := ""
	for _, g := range groups {
		if g.Group == text && (found == "" || g.Signature == TidySignature(g.Signature)) {
			found = g.Signature
		}
	}
	if found == "" { // which would select every letter
		return "", fmt.Errorf("no dead letter is of group %s: %w", text, ErrNotFound)
	}
	return found, nil
}

// Fate is what became of a letter.
type Fate string

// Fates. All but the first are final.
const (
	FateRedriven    Fate = "redriven"              // its job runs again; how that ends is not known yet
	FateDone        Fate = "redriven_done"         // and was completed
	FateFailedAgain Fate = "redriven_failed_again" // and left another letter
	FateCancelled   Fate = "redriven_cancelled"
	FateMoved       Fate = "moved" // the message went back to its queue
	FatePurged      Fate = "purged"
	FateExpired     Fate = "expired" // the queue's retention deleted the message; the letter keeps its body
	FateStale       Fate = "stale"   // its job left failed by a way of its own
)

// Fates lists every fate.
var Fates = []Fate{FateRedriven, FateDone, FateFailedAgain, FateCancelled, FateMoved, FatePurged, FateExpired, FateStale}

// LetterFilter selects letters, newest first. The zero value selects those that are
// open and no canary's.
type LetterFilter struct {
	Signature     string    // empty: any
	Customer      ID        // zero: any
	Kind          string    // empty: any
	Job           ID        // zero: any
	Since, Until  time.Time // of arrival, Since included; zero: no bound
	RedrivesBelow int       // only letters redriven fewer times before; zero: any
	Canaries      bool      // include canaries
	Decided       bool      // include those that have a fate
	Before        ID        // keyset: only ids below this one; zero: from the newest
	Limit         int       // zero means 50, at most 1000
}

// LetterDepth counts what is open, and what is on its way.
type LetterDepth struct {
	Open       int64     `json:"open"` // unresolved, canaries excluded
	Canaries   int64     `json:"canaries"`
	Messages   int64     `json:"messages"`  // of the open ones, those that name no job
	InFlight   int64     `json:"in_flight"` // redriven, outcome not known yet
	ValueCents int64     `json:"value_cents"`
	Customers  int64     `json:"customers"`
	Oldest     time.Time `json:"oldest,omitzero"`
	Newest     time.Time `json:"newest,omitzero"`
}

// LetterGroup is the letters of one signature that a filter selects.
type LetterGroup struct {
	Group      string    `json:"group"` // names the signature in few characters
	Signature  string    `json:"signature"`
	Count      int64     `json:"count"`
	ValueCents int64     `json:"value_cents"`
	Customers  int64     `json:"customers"`
	Oldest     time.Time `json:"oldest"`
	Newest     time.Time `json:"newest"`
	JobID      ID        `json:"job_id,omitzero"` // of the newest, for an example
}

// Letters keeps the dead letters. A job's letter is written in the transaction in
// which the job fails, so there is none without the other.
type Letters interface {
	// Letters lists a page.
	Letters(ctx context.Context, f LetterFilter) ([]Letter, error)

	// Letter finds one by its own id, or the latest of a job by the job's.
	Letter(ctx context.Context, id ID) (Letter, error)

	LetterDepth(ctx context.Context) (LetterDepth, error)

	// LetterGroups counts by signature what f selects, the largest group first.
	// Before and Limit do not count.
	LetterGroups(ctx context.Context, f LetterFilter) ([]LetterGroup, error)

	// RedriveLetters makes the jobs of the letters pending, with new budgets, event,
	// hint and journal entry, in one transaction. It answers the letters it moved:
	// those that are open, or were purged, and whose job is failed.
	RedriveLetters(ctx context.Context, ids []ID, by By) ([]ID, error)

	// RedriveOutcomes tells how redriven letters fare, in no order.
	RedriveOutcomes(ctx context.Context, ids []ID) ([]RedriveOutcome, error)

	// ResolveLetters gives open letters a final fate, with event and, unless the
	// system acts, journal entry. A purged message loses its body; the rest of the row
	// stays. It answers the letters it resolved.
	ResolveLetters(ctx context.Context, ids []ID, fate Fate, by By) ([]ID, error)
}

// RedriveOutcome is how a redriven letter's job fares.
type RedriveOutcome struct {
	LetterID ID
	State    State  // of the job
	Again    string // signature of its failure since the redrive, retried or not; empty: none
}

// FateCount is how many letters of a closed group met a fate.
type FateCount struct {
	Fate  Fate
	Count int64
}

// ClosedGroup is a signature whose letters have all met their fate, of which
// nobody was told.
type ClosedGroup struct {
	Signature  string
	Canary     bool
	Fates      []FateCount
	ValueCents int64
	JobIDs     []ID      // a sample, at most 10
	Until      time.Time // the latest of the fates counted
}

// DeadMessage is a message in the dead letter queue that no job of ours explains.
type DeadMessage struct {
	MessageID string
	Body      []byte
	Cause     string
	Class     string
	Signature string
	Receives  int
	SentAt    time.Time
	ExpiresAt time.Time // zero: not known
}

// Sighting is a message in the dead letter queue that names a job.
type Sighting struct {
	JobID     ID
	MessageID string
	Receives  int
	SentAt    time.Time
	ExpiresAt time.Time // zero: not known
}

// Meaning is what a message in the dead letter queue turned out to be.
type Meaning string

// Meanings.
const (
	MeansKept    Meaning = "kept"    // a letter was made of it
	MeansOpen    Meaning = "open"    // there is an open letter of it
	MeansStale   Meaning = "stale"   // its job is not failed, or somebody has decided: it may go
	MeansUnknown Meaning = "unknown" // no job of ours has the id that it names
)

// Postbox is what the dead letter monitor does with letters. Two monitors at once
// do each thing once.
type Postbox interface {
	// SettleLetters gives fates to redriven letters whose job has come to an end, and
	// to open ones whose job somebody took out of failed by another way.
	SettleLetters(ctx context.Context) (int64, error)

	// TidySignatures brings letters into the group that alerts name which an earlier
	// version left with a signature that is not tidy: those about which something is
	// still to be decided or told. It answers how many.
	TidySignatures(ctx context.Context) (int64, error)

	// ClosedGroups lists what CloseGroup must still tell.
	ClosedGroups(ctx context.Context) ([]ClosedGroup, error)

	// CloseGroup commits n to the outbox and the group's letters as told. It answers
	// false, with nothing changed, when another told it, or when a letter of the group
	// is open again.
	CloseGroup(ctx context.Context, g ClosedGroup, n Notice) (bool, error)

	// TakeLetters hands out up to limit open letters of jobs that have no copy in the
	// dead letter queue, and hides them from other takers for the given time.
	TakeLetters(ctx context.Context, limit int, hide time.Duration) ([]Letter, error)
	// MarkCopied remembers that the letters have a copy.
	MarkCopied(ctx context.Context, ids ...ID) error

	// NoteSightings remembers when the copies expire, and tells what each is.
	NoteSightings(ctx context.Context, seen []Sighting) ([]Meaning, error)
	// KeepMessage makes a letter of m, with its event and, in the outbox, n. One that
	// was kept before gets its new expiry.
	KeepMessage(ctx context.Context, m DeadMessage, n Notice) (Meaning, error)

	// ExpiringLetters lists up to limit open letters whose message is deleted by the
	// queue within the given time, and of which nobody was warned.
	ExpiringLetters(ctx context.Context, within time.Duration, limit int) ([]Letter, error)
	// WarnExpiring commits n to the outbox, an event for each letter, and that they
	// were warned of. It answers how many were not before; for none, n is not sent.
	WarnExpiring(ctx context.Context, ids []ID, n Notice) (int64, error)
	// CloseWarnings forgets the warnings of letters that are decided, or whose message
	// no longer expires within the given time, and commits n to the outbox when none is
	// left. It answers how many it forgot.
	CloseWarnings(ctx context.Context, within time.Duration, n Notice) (int64, error)
	// ExpireLetters ends what the queue has deleted: messages that name no job are
	// expired, and the letter of a job is to be copied anew. It answers how many
	// expired.
	ExpireLetters(ctx context.Context) (int64, error)
}

// JournalEntry is one act of a person, or of the system in a person's place.
type JournalEntry struct {
	ID         ID        `json:"id"`
	At         time.Time `json:"at"`
	By         By        `json:"by"`
	Act        string    `json:"act"`
	Count      int64     `json:"count"`             // things it changed
	ValueCents int64     `json:"value_cents"`       // of them
	JobIDs     []ID      `json:"job_ids"`           // a sample, at most 10
	Subject    string    `json:"subject,omitempty"` // what it changed, where that is no job: "key ID"
}

// Acts that are journalled.
const (
	ActRedrive   = "redrive"
	ActPurge     = "purge"
	ActMove      = "move"
	ActCancel    = "cancel"
	ActHasten    = "hasten"
	ActRecover   = "recover"
	ActPause     = "pause"
	ActResume    = "resume"
	ActMintKey   = "key_create"
	ActRevokeKey = "key_revoke"

	ActEraseCustomer = "customer_erase"
)

// Journal tells who did what, and why. It is append-only.
type Journal interface {
	// Journal lists up to limit entries, the latest first, with ids below before
	// unless that is zero.
	Journal(ctx context.Context, before ID, limit int) ([]JournalEntry, error)
}
