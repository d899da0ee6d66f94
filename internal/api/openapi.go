package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/idempotency"
)

// What a route takes and answers, where the zero value of a body does not say it.
type (
	// once is a body that creates something and may carry an Idempotency-Key.
	once struct{ body any }
	// answers is what a route answers, by status: the zero value of a body, forms where
	// there are several, media for what is no JSON, messages for a stream of it, nil for
	// nothing. A refusal has codes, beside those that the way
	// to every handler has.
	answers map[int]any
	// codes are the problems behind a status.
	codes []string
	// media is the type of an answer that is no JSON.
	media string
	// forms are zero values of a body by media type; the client says which it wants.
	forms map[string]any
	// messages are zero values of what a stream of server-sent events tells.
	messages []any
)

// paging are the parameters of a list that goes on.
type paging struct {
	Limit  int    `query:"limit"`  // items on a page, 50 unless told
	Cursor string `query:"cursor"` // next_cursor of the page before; none: from the newest
}

// anything is a body of which nothing more is told.
var anything json.RawMessage

// mostItems bounds a page.
const mostItems = 500

// document describes the routes by OpenAPI 3.1. What it leaves out, it says by x-.
type document struct {
	OpenAPI    string                           `json:"openapi"`
	Info       info                             `json:"info"`
	Servers    []server31                       `json:"servers"`
	Tags       []tag                            `json:"tags"`
	Paths      map[string]map[string]*operation `json:"paths"`
	Components components                       `json:"components"`

	operations []*operation // in the order of routes.go
	faults     []string     // what the routes do not tell well enough
}

type (
	info struct {
		Title       string  `json:"title"`
		Version     string  `json:"version"` // of the API, not of the program
		Description string  `json:"description"`
		License     license `json:"license"`
	}
	license struct {
		Name       string `json:"name"`
		Identifier string `json:"identifier"`
	}
	server31 struct {
		URL string `json:"url"`
	}
	tag struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	}
	components struct {
		Schemas  map[string]*schema        `json:"schemas"`
		Headers  map[string]*header        `json:"headers"`
		Security map[string]map[string]any `json:"securitySchemes"`
	}
	operation struct {
		ID         string                 `json:"operationId"`
		Tags       []string               `json:"tags"`
		Summary    string                 `json:"summary"`
		Parameters []parameter            `json:"parameters,omitempty"`
		Body       *content               `json:"requestBody,omitempty"`
		Responses  map[string]*response   `json:"responses"`
		Security   []map[string][]string  `json:"security"`
		Roles      []auth.Role            `json:"x-roles"`
		Limits     map[auth.Role][]string `json:"x-rate-policies"`

		Method, Path string `json:"-"`
	}
	parameter struct {
		Name        string  `json:"name"`
		In          string  `json:"in"`
		Required    bool    `json:"required,omitempty"`
		Description string  `json:"description,omitempty"`
		Schema      *schema `json:"schema"`
	}
	content struct {
		Required bool                  `json:"required,omitempty"`
		Content  map[string]mediaShape `json:"content"`
	}
	mediaShape struct {
		Schema   *schema `json:"schema"`
		Messages *schema `json:"x-messages,omitempty"` // the data of each event of a stream
	}
	response struct {
		Description string                `json:"description"`
		Headers     map[string]*header    `json:"headers,omitempty"`
		Content     map[string]mediaShape `json:"content,omitempty"`
		Codes       codes                 `json:"x-codes,omitempty"` // of the problem
	}
	header struct {
		Ref         string  `json:"$ref,omitempty"`
		Description string  `json:"description,omitempty"`
		Schema      *schema `json:"schema,omitempty"`
	}
)

const about = "Orders in, answers out. Show a key with `Authorization: Bearer`; each route says which roles it serves. " +
	"Errors are problem documents (RFC 9457) with a stable `code`. Lists answer `items`, and `next_cursor` while there is more. " +
	"A POST that makes an order, a job or a key may carry an `Idempotency-Key`: the same request again is answered as before, but for a key's text. " +
	"Requests are limited by the policies under `x-rate-policies`; `RateLimit` says what is left, a 429 when to come again. " +
	"Times are RFC 3339 in UTC, ids UUIDs, money whole US cents. Answers may gain members; members that are not told here " +
	"are refused, and so are parameters where there are any. A member of a request that is null counts as left out."

// subjects are the words after /api/, for the headings.
var subjects = []tag{
	{"health", "How the installation is."},
	{"orders", "What customers place and follow."},
	{"customers", "Who pays."},
	{"jobs", "The work behind orders: what staff acts on."},
	{"pauses", "What is not handed out."},
	{"stale", "What recovery takes."},
	{"workers", "Who works."},
	{"dlq", "Dead letters: what failed for good, and what people decide about it."},
	{"journal", "What people did."},
	{"books", "Whether everything that was paid for is accounted for."},
	{"directories", "The catalog."},
	{"queue", "Where a customer's orders stand."},
	{"events", "What happens, as it happens."},
	{"worker", "For workers in any language. Every call about a job names the fence of its claim; one that comes too late is refused, and told why."},
	{"keys", "API keys."},
	{"session", "Browser sessions."},
	{"openapi.json", "This description."},
	{"docs", "This description, to read."},
}

// describe makes the document.
func describe(routes []route) *document {
	c := newSchemas()
	d := &document{
		OpenAPI: "3.1.0",
		Info:    info{"DirectoryBolt", "1", about, license{"Apache 2.0", "Apache-2.0"}},
		Servers: []server31{{"/"}},
		Paths:   map[string]map[string]*operation{},
		Components: components{
			Schemas: c.named,
			Headers: headers,
			Security: map[string]map[string]any{
				"key":     {"type": "http", "scheme": "bearer", "description": "An API key, dbk_live_…"},
				"header":  {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key, for clients that cannot send Authorization."},
				"session": {"type": "apiKey", "in": "cookie", "name": sessionCookie, "description": "A browser's session; over https the cookie is " + secureSessionCookie + "."},
			},
		},
	}
	c.problem()
	for _, rt := range routes {
		op := rt.describe(c)
		if d.Paths[rt.path] == nil {
			d.Paths[rt.path] = map[string]*operation{}
		}
		d.Paths[rt.path][strings.ToLower(rt.method)] = op
		d.operations = append(d.operations, op)
		d.subject(op.Tags[0])
	}
	d.faults = c.faults
	return d
}

// subject adds a heading, once.
func (d *document) subject(name string) {
	if slices.ContainsFunc(d.Tags, func(t tag) bool { return t.Name == name }) {
		return
	}
	t := tag{Name: name}
	if i := slices.IndexFunc(subjects, func(t tag) bool { return t.Name == name }); i >= 0 {
		t = subjects[i]
	}
	d.Tags = append(d.Tags, t)
}

// problem names the shape of refusals. Those of the rate limiter tell which policy
// was violated, and name no request.
func (c *schemas) problem() {
	s := c.of(reflect.TypeFor[problem]())
	p := c.named[strings.TrimPrefix(s.Ref, refPrefix)]
	for i := range p.Properties {
		if p.Properties[i].Name == "code" {
			p.Properties[i].Schema.Enum = problemCodes()
		}
	}
	p.Properties = append(p.Properties, property{"violated-policies", &schema{
		Type: "array", Items: &schema{Type: "string"}, Description: "rate policies that refused the request",
	}})
}

// describe tells one route.
func (rt route) describe(c *schemas) *operation {
	body, keyed := rt.body()
	op := &operation{
		ID: rt.id(), Tags: []string{rt.subject()}, Summary: rt.does, Responses: map[string]*response{},
		Roles: rt.who, Limits: map[auth.Role][]string{}, Method: rt.method, Path: rt.path,
		Security: []map[string][]string{{"key": {}}, {"header": {}}, {"session": {}}},
	}
	if rt.policy == policyAuth {
		op.Security = nil // see nobody
	}
	for _, role := range rt.who {
		if role == public {
			op.Security = append(op.Security, map[string][]string{})
		}
		op.Limits[role] = rt.policies(identityAs(role))
	}
	op.Parameters = append(rt.pathParameters(c), rt.queryParameters(c)...)
	if keyed {
		op.Parameters = append(op.Parameters, parameter{
			Name: idempotencyHeader, In: "header", Schema: &schema{Type: "string", MaxLength: idempotency.MaxKey},
			Description: "A name for this request, of your choice, good for a day: asked again under it, the request is answered as before and done once.",
		})
	}
	if body != nil {
		op.Body = &content{true, map[string]mediaShape{"application/json": {Schema: c.of(reflect.TypeOf(body))}}}
	}
	for status, out := range rt.outcomes() {
		op.Responses[strconv.Itoa(status)] = out.response(c, status, keyed)
	}
	return op
}

func identityAs(role auth.Role) auth.Identity {
	if role == public {
		return auth.Identity{}
	}
	return auth.Identity{Role: role}
}

// body is the zero value of what the route reads, and whether it may be sent under an
// Idempotency-Key.
func (rt route) body() (v any, keyed bool) {
	if rt.method == http.MethodGet {
		return nil, false
	}
	if o, ok := rt.in.(once); ok {
		return o.body, true
	}
	return rt.in, false
}

// outcome is what a route may answer with one status.
type outcome struct {
	out   any // zero value of the body, media, or nil
	codes codes
}

// outcomes is all that a route may answer: its own, and what the way to it may.
func (rt route) outcomes() map[int]*outcome {
	all := map[int]*outcome{}
	at := func(status int) *outcome {
		if all[status] == nil {
			all[status] = &outcome{}
		}
		return all[status]
	}
	own, ok := rt.out.(answers)
	switch {
	case ok:
	case rt.out == nil:
		own = answers{http.StatusNoContent: nil}
	default:
		own = answers{http.StatusOK: rt.out}
	}
	for status, out := range own {
		if refusals, ok := out.(codes); ok {
			at(status).codes = slices.Clone(refusals)
			continue
		}
		at(status).out = out
	}
	refuses := func(status int, code string) { at(status).codes = append(at(status).codes, code) }
	body, keyed := rt.body()
	if rt.in != nil {
		refuses(http.StatusBadRequest, codeInvalidRequest)
	}
	if rt.pages() {
		refuses(http.StatusBadRequest, codeInvalidCursor)
	}
	refuses(http.StatusUnauthorized, codeUnauthenticated)
	if !slices.Contains(rt.who, public) || rt.method != http.MethodGet {
		refuses(http.StatusForbidden, codeForbidden)
	}
	if body != nil {
		refuses(http.StatusRequestEntityTooLarge, codeBodyTooLarge)
		refuses(http.StatusUnsupportedMediaType, codeUnsupportedMedia)
	}
	if keyed {
		refuses(http.StatusConflict, codeIdempotencyRunning)
		refuses(http.StatusUnprocessableEntity, codeIdempotencyMismatch)
	}
	refuses(http.StatusRequestURITooLong, codeURLTooLong)
	refuses(http.StatusTooManyRequests, codeRateLimited)
	refuses(http.StatusInternalServerError, codeInternal)
	refuses(http.StatusServiceUnavailable, codeUnavailable)
	return all
}

// response tells an outcome.
func (o *outcome) response(c *schemas, status int, keyed bool) *response {
	r := &response{Description: http.StatusText(status) + ".", Headers: map[string]*header{}, Content: map[string]mediaShape{}, Codes: o.codes}
	for name := range headers {
		if slices.Contains(headersOf(status, keyed), name) {
			r.Headers[name] = &header{Ref: "#/components/headers/" + name}
		}
	}
	switch out := o.out.(type) {
	case nil:
	case media:
		r.Content[string(out)] = mediaShape{Schema: &schema{Type: "string"}}
	case forms:
		for kind, form := range out {
			r.Content[kind] = mediaShape{Schema: c.of(reflect.TypeOf(form))}
		}
	case messages:
		all := &schema{}
		for _, m := range out {
			all.AnyOf = append(all.AnyOf, c.of(reflect.TypeOf(m)))
		}
		r.Content[streamMedia] = mediaShape{&schema{Type: "string"}, all}
	default:
		r.Content["application/json"] = mediaShape{Schema: c.of(reflect.TypeOf(out))}
	}
	if o.codes == nil {
		return r
	}
	r.Content["application/problem+json"] = mediaShape{Schema: &schema{Ref: refPrefix + "Problem"}}
	for _, code := range o.codes {
		r.Description += " " + code + ": " + problems[code].says + "."
	}
	return r
}

// headers that answers carry beside those of HTTP.
var headers = map[string]*header{
	"X-Request-Id":          {Description: "Names the request in our log: yours, if you sent one of at most 64 letters, digits, dots, dashes and underscores.", Schema: &schema{Type: "string"}},
	"RateLimit-Policy":      {Description: "The limits that the request counted under: name, q requests in w seconds (IETF draft).", Schema: &schema{Type: "string"}},
	"RateLimit":             {Description: "For each of them, r requests that are left, and t seconds until there is one more.", Schema: &schema{Type: "string"}},
	"X-RateLimit-Limit":     {Description: "The tightest of them: how many requests it allows.", Schema: &schema{Type: "integer"}},
	"X-RateLimit-Remaining": {Description: "How many are left of it.", Schema: &schema{Type: "integer"}},
	"X-RateLimit-Reset":     {Description: "When there is one more, in Unix seconds.", Schema: &schema{Type: "integer"}},
	"Retry-After":           {Description: "Seconds after which to come again.", Schema: &schema{Type: "integer"}},
	"WWW-Authenticate":      {Description: "How to say who you are.", Schema: &schema{Type: "string"}},
	"Location":              {Description: "Where it stands that was made.", Schema: &schema{Type: "string"}},
	"Idempotency-Replayed":  {Description: "true: the answer is that of an earlier request under the same key.", Schema: &schema{Type: "string"}},
}

// headersOf are the names of headers that an answer may carry.
func headersOf(status int, keyed bool) []string {
	names := []string{"X-Request-Id", "RateLimit-Policy", "RateLimit", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}
	switch status {
	case http.StatusUnauthorized:
		names = append(names, "WWW-Authenticate")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusConflict:
		names = append(names, "Retry-After")
	}
	if keyed && status < http.StatusBadRequest {
		names = append(names, "Location", "Idempotency-Replayed")
	}
	return names
}

// inPath are the variables of paths. All are to be told here.
var inPath = map[string]parameter{
	"id":         {Schema: &schema{Type: "string", Format: "uuid"}},
	"customerId": {Schema: &schema{Type: "string", Format: "uuid"}, Description: "the customer"},
	"slug":       {Schema: &schema{Type: "string"}, Description: "the directory's name in the catalog"},
	"key":        {Schema: &schema{Type: "string"}, Description: "the key's id, 8 characters after dbk_live_"},
}

var variable = regexp.MustCompile(`\{(\w+)\}`)

func (rt route) pathParameters(c *schemas) []parameter {
	var all []parameter
	for _, m := range variable.FindAllStringSubmatch(rt.path, -1) {
		p, ok := inPath[m[1]]
		if !ok {
			c.fault("say in inPath what {%s} is in %s", m[1], rt.path)
			p.Schema = &schema{Type: "string"}
		}
		p.Name, p.In, p.Required = m[1], "path", true
		all = append(all, p)
	}
	return all
}

// queryParameters are the fields of a GET's in, by their tags: query, or header.
func (rt route) queryParameters(c *schemas) []parameter {
	if rt.method != http.MethodGet || rt.in == nil {
		return nil
	}
	return c.query(reflect.TypeOf(rt.in))
}

func (c *schemas) query(t reflect.Type) []parameter {
	var all []parameter
	for f := range eachField(t) {
		if f.Anonymous {
			all = append(all, c.query(f.Type)...)
			continue
		}
		p := parameter{Name: f.Tag.Get("query"), In: "query", Schema: c.of(f.Type), Description: comments[tellName(t, f)]}
		if name, ok := f.Tag.Lookup("header"); ok {
			p.Name, p.In = name, "header"
		}
		if p.Name == "limit" {
			one, most := 1, mostItems
			p.Schema.Minimum, p.Schema.Maximum = &one, &most
		}
		all = append(all, p)
	}
	return all
}

// pages reports whether the route's list goes on.
func (rt route) pages() bool {
	return slices.ContainsFunc(rt.queryParameters(newSchemas()), func(p parameter) bool { return p.Name == "cursor" })
}

// subject is the word after /api/.
func (rt route) subject() string {
	word, _, _ := strings.Cut(strings.TrimPrefix(rt.path, "/api/"), "/")
	return word
}

// id names the route for generated clients: getJobsByIdHistory.
func (rt route) id() string {
	name := strings.ToLower(rt.method)
	for part := range strings.FieldsFuncSeq(strings.TrimPrefix(rt.path, "/api/"), func(r rune) bool { return r == '/' || r == '.' || r == '-' }) {
		if m := variable.FindStringSubmatch(part); m != nil {
			part = "By" + titled(m[1])
		}
		name += titled(part)
	}
	return name
}

// encode writes the document out.
func (d *document) encode() []byte {
	text, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		panic("api: " + err.Error()) // it is made of texts
	}
	return append(text, '\n')
}

// published is an answer that changes with the program alone.
type published struct {
	kind, etag string
	policy     string // Content-Security-Policy; empty: none
	text       []byte
}

func publish(kind, policy string, text []byte) *published {
	sum := sha256.Sum256(text)
	return &published{kind, `"` + hex.EncodeToString(sum[:8]) + `"`, policy, text}
}

// send answers with it, or that it is what the client has.
func (p *published) send(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Cache-Control", "no-cache") // ask whether it is still so
	h.Set("Etag", p.etag)
	if p.policy != "" {
		h.Set("Content-Security-Policy", p.policy)
	}
	for had := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(had), "W/") == p.etag {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	h.Set("Content-Type", p.kind)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(p.text) // a client that hung up is no fault of ours
	return nil
}

// tell writes down what the routes say of themselves.
func (s *server) tell(routes []route) {
	d := describe(routes)
	s.document = publish("application/json", "", d.encode())
	s.docs = d.page()
}

func (s *server) showDocument(w http.ResponseWriter, r *http.Request) error {
	return s.document.send(w, r)
}

func (s *server) showDocs(w http.ResponseWriter, r *http.Request) error {
	return s.docs.send(w, r)
}
