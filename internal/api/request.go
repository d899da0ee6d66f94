package api

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
)

// Limits of a request.
const (
	maxBody = 10 << 20
	maxURL  = 2048
)

type contextKey int

const requestIDKey contextKey = iota

// requestIDs are those we take over from a client or a proxy.
var requestIDs = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// withRequestID names the request, by the client's name for it where that is sound.
func withRequestID(r *http.Request) (*http.Request, string) {
	id := r.Header.Get("X-Request-Id")
	if !requestIDs.MatchString(id) {
		id = job.NewID().String()
	}
	return r.WithContext(context.WithValue(r.Context(), requestIDKey, id)), id
}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey).(string)
	return id
}

// body reads the whole body, which must be said to be JSON.
func body(r *http.Request) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, refuse(http.StatusUnsupportedMediaType, codeUnsupportedMedia, "send JSON, with Content-Type: application/json")
	}
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		if errors.As(err, new(*http.MaxBytesError)) {
			return nil, err
		}
		return nil, invalid("the body could not be read to its end")
	}
	return data, nil
}

// decode reads the body into v: one JSON value, no unknown key.
func decode(r *http.Request, v any) error {
	data, err := body(r)
	if err != nil {
		return err
	}
	return decodeBytes(data, v)
}

func decodeBytes(data []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		fault := jsonFault(err)
		if name, want := misfit(data, reflect.TypeOf(v).Elem(), ""); fault == "" && want != "" {
			fault = "the value of " + strconv.Quote(name) + " is not " + want
		}
		return invalid("the body is not what is wanted: %s", cmp.Or(fault, "a value does not fit its member"))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid("the body goes on after its JSON value")
	}
	// Nobody's id and the zero time would choose more than was meant: they count as left out.
	if name, want := misfit(data, reflect.TypeOf(v).Elem(), ""); want != "" {
		return invalid("the body is not what is wanted: the value of %q is not %s", name, want)
	}
	if name, like := lookalike(data, reflect.TypeOf(v).Elem()); name != "" {
		return invalid("the body is not what is wanted: unknown field %q; there is %q", name, like)
	}
	return nil
}

// misfit finds the first value that is not the id or the time that its member wants:
// encoding/json says which of them refused it, not where.
func misfit(data json.RawMessage, t reflect.Type, at string) (name, want string) {
	switch {
	case t.Kind() == reflect.Pointer:
		return misfit(data, t.Elem(), at)
	case string(data) == "null":
		return "", "" // as if it were left out
	case t == uuidType:
		var id uuid.UUID
		if err := json.Unmarshal(data, &id); err != nil || id == uuid.Nil {
			return at, "an id"
		}
	case t == timeType:
		var moment time.Time
		if err := json.Unmarshal(data, &moment); err != nil || moment.IsZero() {
			return at, "a time such as 2026-11-26T06:00:00Z"
		}
	case t.Kind() == reflect.Slice && t != rawType:
		var items []json.RawMessage
		_ = json.Unmarshal(data, &items) // no list has no items
		for i, item := range items {
			if name, want = misfit(item, t.Elem(), at+"["+strconv.Itoa(i)+"]"); want != "" {
				return name, want
			}
		}
	case t.Kind() == reflect.Struct:
		var members map[string]json.RawMessage
		_ = json.Unmarshal(data, &members)
		known := membersOf(t)
		for _, member := range slices.Sorted(maps.Keys(members)) {
			kind, ok := known[member]
			if !ok {
				continue
			}
			if name, want = misfit(members[member], kind, strings.TrimPrefix(at+"."+member, ".")); want != "" {
				return name, want
			}
		}
	}
	return "", ""
}

// lookalike finds a member that is named as one that is known but for capital letters:
// encoding/json takes the one for the other.
func lookalike(data json.RawMessage, t reflect.Type) (name, like string) {
	switch {
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		var items []json.RawMessage
		_ = json.Unmarshal(data, &items) // it was read before
		for _, item := range items {
			if name, like = lookalike(item, t.Elem()); name != "" {
				return name, like
			}
		}
	case t.Kind() == reflect.Struct && t != timeType:
		var members map[string]json.RawMessage
		_ = json.Unmarshal(data, &members)
		known := membersOf(t)
		for name, value := range members {
			kind, ok := known[name]
			if !ok {
				for like := range known {
					if strings.EqualFold(name, like) {
						return name, like
					}
				}
				continue // in a raw part, which is read on its own
			}
			if name, like := lookalike(value, kind); name != "" {
				return name, like
			}
		}
	}
	return "", ""
}

// membersOf are the types of what a body of type t may have, by name.
func membersOf(t reflect.Type) map[string]reflect.Type {
	known := map[string]reflect.Type{}
	for f := range eachField(t) {
		tag, ok := f.Tag.Lookup("json")
		if f.Anonymous && !ok {
			maps.Copy(known, membersOf(f.Type))
			continue
		}
		name, _, _ := strings.Cut(tag, ",")
		known[name] = f.Type
	}
	if v, ok := reflect.Zero(t).Interface().(shaped); ok {
		for name, shape := range v.shapes() {
			known[name] = reflect.TypeOf(shape)
		}
	}
	return known
}

// jsonFault says what is wrong with a body, without the names of Go's types; it is empty
// when a type refused its text, see misfit.
func jsonFault(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return "it is empty"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends in the middle of the JSON"
	case errors.As(err, &syntax):
		return "no JSON at byte " + strconv.FormatInt(syntax.Offset, 10)
	case errors.As(err, &kind):
		return "the value of " + strconv.Quote(kind.Field) + " is a " + kind.Value + ", which does not fit"
	}
	text, ok := strings.CutPrefix(err.Error(), "json: ")
	if !ok {
		return ""
	}
	return text
}

// pathID reads an id out of the path; code names what is not found when it is none.
func pathID(r *http.Request, name, code string) (job.ID, error) {
	id, err := uuid.Parse(r.PathValue(name))
	if err != nil {
		return job.ID{}, refuse(http.StatusNotFound, code, "%q is not an id", r.PathValue(name))
	}
	return id, nil
}

// query is what a list may be asked with; every key that is not known is refused.
type query struct {
	values url.Values
	faults []string
}

func queryOf(r *http.Request, known ...string) *query {
	q := &query{values: r.URL.Query()}
	for name := range q.values {
		if !slices.Contains(known, name) {
			q.faults = append(q.faults, "there is no parameter "+strconv.Quote(name)+"; there are: "+strings.Join(known, ", "))
		}
	}
	return q
}

// err reports every fault at once.
func (q *query) err() error {
	if len(q.faults) == 0 {
		return nil
	}
	slices.Sort(q.faults)
	return invalid("%s", strings.Join(q.faults, "; "))
}

func (q *query) text(name string) string { return q.values.Get(name) }

// limit is how many items a page has: 50 unless told, at most 500.
func (q *query) limit() int {
	text := q.values.Get("limit")
	if text == "" {
		return 50
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostItems {
		q.faults = append(q.faults, "limit is a number from 1 to "+strconv.Itoa(mostItems))
	}
	return n
}

// moment is a time of the query, zero when it is not given.
func (q *query) moment(name string) (at time.Time) {
	if text := q.values.Get(name); text != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, text); err != nil {
			q.faults = append(q.faults, name+" is a time such as 2026-11-26T06:00:00Z")
		}
	}
	return at
}

func (q *query) id(name string) (id job.ID) {
	if text := q.values.Get(name); text != "" {
		var err error
		if id, err = uuid.Parse(text); err != nil || id == uuid.Nil {
			q.faults = append(q.faults, name+" is an id")
		}
	}
	return id
}

func (q *query) state() job.State {
	s := job.State(q.values.Get("state"))
	if s != "" && !s.Valid() {
		q.faults = append(q.faults, "state is one of pending, in_progress, completed, failed, cancelled")
	}
	return s
}

// Cursors say after which id a page begins. They are opaque to clients, so that what
// they hold may change.

const cursorPrefix = "1:"

func cursor(last job.ID) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorPrefix + last.String()))
}

// cursor reads the cursor of a list; none is the zero id.
func (q *query) cursor() (job.ID, error) {
	text := q.values.Get("cursor")
	if text == "" {
		return job.ID{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		if rest, ok := strings.CutPrefix(string(raw), cursorPrefix); ok {
			var id uuid.UUID
			if id, err = uuid.Parse(rest); err == nil {
				return id, nil
			}
		}
	}
	return job.ID{}, refuse(http.StatusBadRequest, codeInvalidCursor, "the cursor is not one of ours; begin again without it")
}

// page is a part of a list, the newest first.
type page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor,omitempty"` // empty: this was the last page
}

// pageOf cuts a page out of one item more than it may have.
func pageOf[T any](items []T, limit int, id func(T) job.ID) page[T] {
	p := page[T]{Items: items}
	if len(items) > limit {
		p.Items = items[:limit]
		p.NextCursor = cursor(id(p.Items[limit-1]))
	}
	if p.Items == nil {
		p.Items = []T{}
	}
	return p
}

// answerJSON sends a body.
func answerJSON(w http.ResponseWriter, status int, v any) error {
	return answerAs(w, status, "application/json", v)
}

// answerAs sends a body of JSON under a media type of its own.
func answerAs(w http.ResponseWriter, status int, kind string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // a client that hung up is no fault of ours
	return nil
}

// seconds are a duration as clients write it. Who calls has checked that it fits.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
