package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// letterView is a dead letter as staff sees it.
type letterView struct {
	job.Letter
	Group   string       `json:"group"`
	Body    string       `json:"body,omitempty"`      // of the message; not in lists
	Next    string       `json:"next_step,omitempty"` // while nobody has decided; not in lists
	Earlier []letterView `json:"earlier,omitempty"`   // of the same job, newest first; not in lists
}

func letterOf(l job.Letter) letterView {
	l.Body = nil
	return letterView{Letter: l, Group: l.GroupID()}
}

type (
	groupView   = job.LetterGroup
	journalView = job.JournalEntry
)

// letterQuery says which letters are meant.
type letterQuery struct {
	Signature string    `query:"signature"` // whole, or the id of a group
	Customer  job.ID    `query:"customer"`
	Kind      string    `query:"kind"`
	Job       job.ID    `query:"job"`
	Since     time.Time `query:"since"`
	Until     time.Time `query:"until"`
	Decided   bool      `query:"decided"`  // true: with those that somebody decided about
	Canaries  bool      `query:"canaries"` // true: with canaries
}

// lettersQuery is what a list of letters may be asked with.
type lettersQuery struct {
	letterQuery
	paging
}

// letterFilter reads which letters a query selects.
func (s *server) letterFilter(r *http.Request, more ...string) (f job.LetterFilter, q *query, err error) {
	q = queryOf(r, append(more, "signature", "customer", "kind", "job", "since", "until", "decided", "canaries")...)
	f = job.LetterFilter{
		Customer: q.id("customer"), Kind: q.text("kind"), Job: q.id("job"), Since: q.moment("since"), Until: q.moment("until"),
		Decided: q.text("decided") == "true", Canaries: q.text("canaries") == "true",
	}
	f.Signature, err = s.signature(r.Context(), q.text("signature"))
	return f, q, err
}

// signature is what a client means: a signature, or the id of a group.
func (s *server) signature(ctx context.Context, text string) (string, error) {
	signature, err := job.SignatureOf(ctx, s.Store, text)
	if errors.Is(err, job.ErrNotFound) {
		return "", refuse(http.StatusNotFound, codeNotFound, "no dead letter is of group %s", text)
	}
	return signature, err
}

func (s *server) listLetters(w http.ResponseWriter, r *http.Request) error {
	f, q, err := s.letterFilter(r, "limit", "cursor")
	if err != nil {
		return err
	}
	limit := q.limit()
	if f.Before, err = q.cursor(); err != nil {
		return err
	}
	if err := q.err(); err != nil {
		return err
	}
	f.Limit = limit + 1
	letters, err := s.Store.Letters(r.Context(), f)
	if err != nil {
		return err
	}
	views := make([]letterView, len(letters))
	for i, l := range letters {
		views[i] = letterOf(l)
	}
	return answerJSON(w, http.StatusOK, pageOf(views, limit, func(l letterView) job.ID { return l.ID }))
}

func (s *server) listGroups(w http.ResponseWriter, r *http.Request) error {
	f, q, err := s.letterFilter(r)
	if err != nil {
		return err
	}
	if err := q.err(); err != nil {
		return err
	}
	groups, err := s.Store.LetterGroups(r.Context(), f)
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusOK, pageOf(groups, len(groups), nil))
}

// depthView is how much is open, and whether anybody looks.
type depthView struct {
	job.LetterDepth
	LookedAt time.Time `json:"looked_at,omitzero"` // end of the monitor's latest good check; missing: there was none
	Blind    string    `json:"blind,omitempty"`    // why the dead letter queue cannot be seen
}

func (s *server) getDepth(w http.ResponseWriter, r *http.Request) error {
	d, err := s.Store.LetterDepth(r.Context())
	if err != nil {
		return err
	}
	passes, err := s.Store.MonitorPasses(r.Context())
	if err != nil {
		return err
	}
	v, looked := depthView{LetterDepth: d}, false
	for _, p := range passes { // the latest first
		switch {
		case p.Monitor == job.MonitorDLQ && p.GoodAt.After(v.LookedAt):
			v.LookedAt = p.GoodAt
		case p.Monitor == job.MonitorDLQLook && !looked:
			v.Blind, looked = p.Error, true
		}
	}
	return answerJSON(w, http.StatusOK, v)
}

// letterNamed finds a letter by its own id or by its job's.
func (s *server) letterNamed(ctx context.Context, id job.ID) (job.Letter, error) {
	l, err := s.Store.Letter(ctx, id)
	if errors.Is(err, job.ErrNotFound) {
		return l, refuse(http.StatusNotFound, codeNotFound, "there is no dead letter %s, and none of a job of that id", id)
	}
	return l, err
}

func (s *server) getLetter(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", codeNotFound)
	if err != nil {
		return err
	}
	return s.answerLetter(w, r, id)
}

func (s *server) answerLetter(w http.ResponseWriter, r *http.Request, id job.ID) error {
	l, err := s.letterNamed(r.Context(), id)
	if err != nil {
		return err
	}
	v := letterOf(l)
	v.Body = strings.ToValidUTF8(string(l.Body), "\uFFFD")
	if l.Open() && s.NextStep != nil {
		v.Next = s.NextStep(l)
	}
	if l.JobID != (job.ID{}) {
		earlier, err := s.Store.Letters(r.Context(), job.LetterFilter{Job: l.JobID, Decided: true, Canaries: true, Before: l.ID})
		if err != nil {
			return err
		}
		for _, e := range earlier {
			v.Earlier = append(v.Earlier, letterOf(e))
		}
	}
	return answerJSON(w, http.StatusOK, v)
}

// redriveOne redrives the letter that the path names.
func (s *server) redriveOne(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", codeNotFound)
	if err != nil {
		return err
	}
	var in redriveOneRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	who, err := by(r, in.Reason)
	if err != nil {
		return err
	}
	if _, err := s.redriveLetter(r.Context(), id, in.Force, who); err != nil {
		return err
	}
	return s.answerLetter(w, r, id)
}

// redriveOneRequest says why one letter is redriven.
type redriveOneRequest struct {
	Reason string `json:"reason"`
	Force  bool   `json:"force,omitempty"` // also a job that was redriven REDRIVE_CAP times already
}

// redriveLetter redrives the job of one letter, or says why it cannot be.
func (s *server) redriveLetter(ctx context.Context, id job.ID, force bool, who job.By) (job.Letter, error) {
	l, err := s.letterNamed(ctx, id)
	if err != nil {
		return l, err
	}
	switch {
	case l.JobID == (job.ID{}):
		return l, refuse(http.StatusConflict, codeInvalidStatus, "dead letter %s names no job: messages go back with: directorybolt dlq redrive --messages", l.ID)
	case !l.Open() && l.Fate != job.FatePurged:
		return l, refuse(http.StatusConflict, codeInvalidStatus, "dead letter %s is %s, which does not allow this", l.ID, l.Fate)
	case !force && s.RedriveCap > 0 && l.Redrives >= s.RedriveCap:
		return l, refuse(http.StatusConflict, codeInvalidStatus, "job %s was redriven %d times and failed again each time; force redrives it all the same", l.JobID, l.Redrives)
	}
	moved, err := s.Store.RedriveLetters(ctx, []job.ID{l.ID}, who)
	if errors.Is(err, job.ErrErased) {
		return l, customerErased(l.JobID)
	}
	if err != nil {
		return l, err
	}
	if len(moved) == 0 {
		return l, s.wrongStateOf(ctx, l.JobID)
	}
	return l, nil
}

// letterSelection says which letters: ids, or a filter, or all.
type letterSelection struct {
	IDs       []job.ID  `json:"ids,omitempty"`       // of letters, or of their jobs
	All       bool      `json:"all,omitempty"`       // every open one
	Signature string    `json:"signature,omitempty"` // whole, or the id of a group
	Customer  job.ID    `json:"customer,omitzero"`
	Kind      string    `json:"kind,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Until     time.Time `json:"until,omitzero"`
	Canaries  bool      `json:"canaries,omitempty"`
}

// mostNamed bounds the ids of one request, and the letters of one purge.
const mostNamed = 500

// filter is what the selection means, unless it names ids.
func (in letterSelection) filter(ctx context.Context, s *server) (f job.LetterFilter, err error) {
	f = job.LetterFilter{Customer: in.Customer, Kind: in.Kind, Since: in.Since, Until: in.Until, Canaries: in.Canaries}
	f.Signature, err = s.signature(ctx, in.Signature)
	filtered := f != job.LetterFilter{Canaries: in.Canaries}
	switch {
	case err != nil:
	case len(in.IDs) > 0 && (filtered || in.All):
		err = invalid("ids and filters do not go together: name letters, or select them")
	case len(in.IDs) > mostNamed:
		err = invalid("ids has more than %d", mostNamed)
	case len(in.IDs) == 0 && !filtered && !in.All:
		err = invalid("nothing is selected: give ids, or signature, customer, kind, since or until, or all")
	}
	return f, err
}

// redriveRequest redrives many letters.
type redriveRequest struct {
	letterSelection
	Reason string `json:"reason"`
	Limit  int    `json:"limit,omitempty"`   // of letters, the newest first; 1000 unless told, at most 5000
	Force  bool   `json:"force,omitempty"`   // also jobs that were redriven REDRIVE_CAP times already
	DryRun bool   `json:"dry_run,omitempty"` // only say what would be
}

// redriveAnswer says what became of it. The same request again goes on with what is left.
type redriveAnswer struct {
	Redriven int           `json:"redriven"` // or would be
	Left     int64         `json:"left"`     // selected, and not redriven
	Held     int64         `json:"held"`     // of these, redriven too often already; see force
	Groups   []groupView   `json:"groups,omitempty"`
	Refused  []refusedView `json:"refused,omitempty"`
}

// refusedView is a letter that was named and stays as it was.
type refusedView struct {
	ID     job.ID `json:"id"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Bounds of one request that redrives by filter.
const (
	redriveDefault = 1000
	redriveMost    = 5000
	redriveBatch   = 500 // letters a transaction
)

func (s *server) redriveMany(w http.ResponseWriter, r *http.Request) error {
	var in redriveRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	who, err := by(r, in.Reason)
	if err != nil {
		return err
	}
	f, err := in.filter(r.Context(), s)
	if err != nil {
		return err
	}
	if in.Limit < 0 || in.Limit > redriveMost {
		return invalid("limit is a number from 1 to %d", redriveMost)
	}
	if in.Limit == 0 {
		in.Limit = redriveDefault
	}
	var answer redriveAnswer
	if len(in.IDs) > 0 {
		answer, err = s.redriveNamed(r.Context(), in, who)
	} else {
		answer, err = s.redriveSelected(r.Context(), f, in, who)
	}
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusOK, answer)
}

// redriveNamed redrives each; those that cannot be do not keep the others from it.
func (s *server) redriveNamed(ctx context.Context, in redriveRequest, who job.By) (a redriveAnswer, err error) {
	if in.DryRun {
		return a, invalid("dry_run is for filters; GET /api/dlq/{id} shows one letter")
	}
	for _, id := range in.IDs {
		_, err := s.redriveLetter(ctx, id, in.Force, who)
		switch p := (*problem)(nil); {
		case errors.As(err, &p):
			a.Refused = append(a.Refused, refusedView{id, p.Code, p.Detail})
		case err != nil:
			return a, err
		default:
			a.Redriven++
		}
	}
	a.Left = int64(len(a.Refused))
	return a, nil
}

// redriveSelected redrives what the filter selects, the newest first. Whoever hangs up
// in the middle has redriven whole batches.
func (s *server) redriveSelected(ctx context.Context, f job.LetterFilter, in redriveRequest, who job.By) (a redriveAnswer, err error) {
	every, err := s.Store.LetterGroups(ctx, f)
	if err != nil {
		return a, err
	}
	if !in.Force {
		f.RedrivesBelow = s.RedriveCap
	}
	if a.Groups, err = s.Store.LetterGroups(ctx, f); err != nil {
		return a, err
	}
	selected, free := lettersIn(every), lettersIn(a.Groups)
	a.Held = selected - free
	if in.DryRun {
		a.Redriven = int(min(free, int64(in.Limit)))
	} else if a.Redriven, err = s.redriveBatches(ctx, f, in.Limit, who); err != nil {
		return a, err
	}
	a.Left = max(selected-int64(a.Redriven), 0)
	return a, nil
}

func (s *server) redriveBatches(ctx context.Context, f job.LetterFilter, limit int, who job.By) (redriven int, err error) {
	for redriven < limit {
		f.Limit = min(redriveBatch, limit-redriven)
		letters, err := s.Store.Letters(ctx, f)
		if err != nil {
			return redriven, err
		}
		ids := make([]job.ID, 0, len(letters))
		for _, l := range letters {
			f.Before = l.ID
			if l.JobID != (job.ID{}) {
				ids = append(ids, l.ID)
			}
		}
		moved, err := s.Store.RedriveLetters(ctx, ids, who)
		redriven += len(moved)
		if err != nil || len(letters) < f.Limit {
			return redriven, err
		}
	}
	return redriven, nil
}

func lettersIn(groups []job.LetterGroup) (n int64) {
	for _, g := range groups {
		n += g.Count
	}
	return n
}

// purgeRequest gives letters up.
type purgeRequest struct {
	letterSelection
	Reason string `json:"reason"`
	Count  int    `json:"count"` // how many are selected: who knows may purge them
}

// purgeAnswer holds what was given up, so that whoever did it can keep it.
type purgeAnswer struct {
	Purged     int            `json:"purged"`
	ValueCents int64          `json:"value_cents"`
	Letters    []purgedLetter `json:"letters"`
}

// purgedLetter is a letter as it was, and what its job was given.
type purgedLetter struct {
	letterView
	Payload json.RawMessage `json:"payload,omitempty"`
}

func (s *server) purge(w http.ResponseWriter, r *http.Request) error {
	var in purgeRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	who, err := by(r, in.Reason)
	if err != nil {
		return err
	}
	if in.Count < 1 {
		return invalid("count is required: how many letters are selected, at least 1")
	}
	letters, err := s.purgeable(r.Context(), in.letterSelection)
	if err != nil {
		return err
	}
	if in.Count != len(letters) {
		return refuse(http.StatusConflict, codeInvalidStatus, "count says %d, and %d are selected; nothing was purged", in.Count, len(letters))
	}
	exported, ids := make([]purgedLetter, len(letters)), make([]job.ID, len(letters))
	for i, l := range letters {
		if exported[i], err = s.exported(r.Context(), l); err != nil {
			return err
		}
		ids[i] = l.ID
	}
	done, err := s.Store.ResolveLetters(r.Context(), ids, job.FatePurged, who)
	if err != nil {
		return err
	}
	answer := purgeAnswer{Purged: len(done), Letters: make([]purgedLetter, 0, len(done))}
	for i, l := range letters {
		if !slices.Contains(done, l.ID) { // somebody else decided on it meanwhile
			continue
		}
		answer.Letters = append(answer.Letters, exported[i])
		if !l.Canary {
			answer.ValueCents += l.ValueCents
		}
	}
	return answerJSON(w, http.StatusOK, answer)
}

// purgeable lists the open letters that are selected, if one request may purge them.
func (s *server) purgeable(ctx context.Context, in letterSelection) ([]job.Letter, error) {
	f, err := in.filter(ctx, s)
	if err != nil {
		return nil, err
	}
	if len(in.IDs) == 0 {
		f.Limit = mostNamed + 1
		letters, err := s.Store.Letters(ctx, f)
		if err == nil && len(letters) > mostNamed {
			err = invalid("more than %d are selected: narrow the filter, or type: directorybolt dlq purge", mostNamed)
		}
		return letters, err
	}
	letters := make([]job.Letter, len(in.IDs))
	for i, id := range in.IDs {
		if letters[i], err = s.letterNamed(ctx, id); err != nil {
			return nil, err
		}
		if !letters[i].Open() {
			return nil, refuse(http.StatusConflict, codeInvalidStatus, "dead letter %s is %s, which does not allow this", id, letters[i].Fate)
		}
	}
	return letters, nil
}

func (s *server) exported(ctx context.Context, l job.Letter) (purgedLetter, error) {
	out := purgedLetter{letterView: letterOf(l)}
	out.Body = strings.ToValidUTF8(string(l.Body), "\uFFFD")
	if l.JobID == (job.ID{}) {
		return out, nil
	}
	j, err := s.Store.Job(ctx, l.JobID)
	if err != nil {
		return out, fmt.Errorf("export letter %s: %w", l.ID, err)
	}
	out.Payload = j.Payload
	return out, nil
}

// listJournal tells who did what, and why, the latest first.
func (s *server) listJournal(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "limit", "cursor")
	limit := q.limit()
	before, err := q.cursor()
	if err != nil {
		return err
	}
	if err := q.err(); err != nil {
		return err
	}
	entries, err := s.Store.Journal(r.Context(), before, limit+1)
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusOK, pageOf(entries, limit, func(e job.JournalEntry) job.ID { return e.ID }))
}
