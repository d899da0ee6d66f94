package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/middleware"
	"github.com/directorybolt/directorybolt/internal/ratelimit"
	"github.com/pb33f/libopenapi/datamodel"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write fields.json anew")

// sample is a request that a route grants.
type sample struct {
	as      auth.Role // empty: the first that may ask, or nobody where anybody may
	path    string    // empty: the route's
	body    string
	headers []string
	stream  bool // the answer does not end by itself
}

// samples are requests that are granted, by route, made of what the office has. A route
// that needs none of it, because it takes neither body nor variables, is left out.
func (o *office) samples() map[string]sample {
	o.t.Helper()
	var placed orderView
	o.ask(o.keys[auth.Customer], "POST", "/api/orders", order(1)).is(http.StatusCreated).into(&placed)
	one, why := placed.ID.String(), `{"reason":"a test"}`
	if err := o.store.Pause(o.t.Context(), job.Scope{Kind: "recheck"}, job.By{Actor: "cli:test", Reason: "a test"}); err != nil {
		o.t.Fatal(err)
	}
	o.health = sick()
	o.health.Status = degraded
	gone, letter, named, given := o.newCustomer("gone@example.com"), o.dead().String(), o.dead().String(), o.dead().String()
	worker := o.worker()
	about := func(more string) string {
		j := o.running(worker)
		return fmt.Sprintf(`{"worker_id":%q,"job_id":%q,"fence":%d%s}`, worker, j.JobID, j.Fence, more)
	}
	held := o.running(worker)
	all := map[string]sample{
		"GET /api/customers/{id}":        {path: "/api/customers/" + o.customer.String()},
		"POST /api/customers/{id}/erase": {path: "/api/customers/" + gone.String() + "/erase", body: why},
		"GET /api/dlq/{id}":              {path: "/api/dlq/" + letter},
		"POST /api/dlq/{id}/redrive":     {path: "/api/dlq/" + letter + "/redrive", body: why},
		"POST /api/dlq/redrive":          {body: `{"ids":["` + named + `"],"reason":"a test"}`},
		"POST /api/dlq/purge":            {body: `{"ids":["` + given + `"],"count":1,"reason":"a test"}`},
		"GET /api/queue/{customerId}":    {path: "/api/queue/" + o.customer.String()},
		"POST /api/queue/{customerId}":   {path: "/api/queue/" + o.customer.String()},
		"GET /api/events":                {stream: true},
		"POST /api/jobs":                 {body: `{"kind":"thumbnail","payload":{"a":1}}`, headers: []string{idempotencyHeader, "a job"}},
		"POST /api/worker/register":      {body: `{"host":"studio-2","kinds":["thumbnail"]}`},
		"POST /api/worker/heartbeat":     {body: fmt.Sprintf(`{"worker_id":%q,"held":[{"job_id":%q,"fence":%d}]}`, worker, held.JobID, held.Fence)},
		"POST /api/worker/progress":      {body: about("")},
		"POST /api/worker/complete":      {body: about("")},
		"POST /api/worker/fail":          {body: about(`,"cause":"a test"`)},
		"POST /api/worker/release":       {body: about(`,"cause":"a test"`)},
		"POST /api/worker/snooze":        {body: about(`,"cause":"a test","delay_seconds":60`)},
		"POST /api/worker/leave":         {body: fmt.Sprintf(`{"worker_id":%q}`, o.worker())},

		"POST /api/orders":             {body: order(2), headers: []string{idempotencyHeader, "a name"}},
		"GET /api/orders/{id}":         {path: "/api/orders/" + one},
		"GET /api/orders/{id}/results": {path: "/api/orders/" + one + "/results"},
		"GET /api/jobs/{id}":           {path: "/api/jobs/" + one},
		"GET /api/jobs/{id}/history":   {path: "/api/jobs/" + one + "/history"},
		"POST /api/jobs/{id}/cancel":   {path: "/api/jobs/" + o.noop().String() + "/cancel", body: why},
		"POST /api/jobs/{id}/redrive":  {path: "/api/jobs/" + o.dead().String() + "/redrive", body: why},
		"POST /api/jobs/pause":         {body: `{"scope":{"kind":"canary"},"reason":"a test"}`},
		"POST /api/jobs/resume":        {body: `{"scope":{"kind":"recheck"},"reason":"a test"}`},
		"GET /api/directories/{slug}":  {path: "/api/directories/" + o.slug()},
		"POST /api/keys":               {body: `{"name":"portal","role":"customer","customer_id":"` + o.customer.String() + `","expires_at":"2999-01-01T00:00:00Z"}`},
		"DELETE /api/keys/{key}":       {path: "/api/keys/" + o.mint(auth.Worker, job.ID{})[len("dbk_live_"):][:8]},
		"POST /api/session":            {body: `{"key":"` + o.keys[auth.Staff] + `"}`},
	}
	o.craft() // after the others were claimed
	all["POST /api/worker/claim"] = sample{body: fmt.Sprintf(`{"worker_id":%q,"kinds":["thumbnail"]}`, worker)}
	return all
}

// dead is a failed job.
func (o *office) dead() job.ID {
	o.t.Helper()
	id, w := o.noop(), o.employ(job.KindNoop)
	for {
		jobs, err := o.store.Claim(o.t.Context(), job.ClaimRequest{Worker: w, Limit: 1, Kinds: []string{job.KindNoop}})
		if err != nil || len(jobs) == 0 {
			o.t.Fatalf("claimed %d jobs, error %v", len(jobs), err)
		}
		if jobs[0].ID != id {
			continue
		}
		if _, err := o.store.Fail(o.t.Context(), jobs[0].Lease(), job.Failure{Cause: "a test", Class: job.ClassPermanent, Permanent: true}); err != nil {
			o.t.Fatal(err)
		}
		return id
	}
}

// employ registers a worker.
func (o *office) employ(kinds ...string) job.ID {
	o.t.Helper()
	w := job.Worker{ID: job.NewID(), Host: "here", PID: 1, Version: "test", Kinds: kinds, Capacity: 1}
	if err := o.store.Register(o.t.Context(), w, time.Minute); err != nil {
		o.t.Fatal(err)
	}
	return w.ID
}

func (o *office) slug() string {
	o.t.Helper()
	var list page[directoryView]
	o.ask(o.keys[auth.Customer], "GET", "/api/directories", "").is(http.StatusOK).into(&list)
	return list.Items[0].Slug
}

// Every route is asked as the document says, granted and refused; office.ask holds
// each request and each answer against it.
func TestEveryRouteDoesWhatTheDocumentTells(t *testing.T) {
	o := newOffice(t)
	samples := o.samples()
	for _, rt := range (&server{}).routes() {
		name := rt.method + " " + rt.path
		t.Run(name, func(t *testing.T) {
			o.t = t
			s, ok := samples[name]
			if body, _ := rt.body(); !ok && (body != nil || strings.Contains(rt.path, "{")) {
				t.Fatal("samples has no request that is granted")
			}
			if s.as == "" {
				s.as = rt.who[0]
			}
			if s.path == "" {
				s.path = rt.path
			}
			o.checkParameters(rt, s)
			o.checkIdempotency(rt, s)
			o.checkRefusals(rt, s)
			if s.stream {
				o.listen(o.keys[s.as], "").until("that it is ready", ready)
			} else {
				if got := o.ask(o.keys[s.as], rt.method, s.path, s.body, s.headers...); got.status >= 300 {
					t.Errorf("%d %s, want it granted", got.status, got.body)
				}
			}
		})
	}
}

// checkParameters compares the parameters that are told with those that the handler
// takes, and tries each.
func (o *office) checkParameters(rt route, s sample) {
	o.t.Helper()
	if rt.method != http.MethodGet {
		return
	}
	var toldNames []string
	for _, p := range rt.queryParameters(newSchemas()) {
		if p.In != "query" {
			continue
		}
		toldNames = append(toldNames, p.Name)
		if s.stream {
			continue
		}
		o.ask(o.keys[s.as], rt.method, s.path+"?"+p.Name+"="+valueOf(p.Schema), "").is(http.StatusOK)
	}
	if len(toldNames) == 0 {
		return
	}
	detail := o.ask(o.keys[s.as], rt.method, s.path+"?nobody_knows=1", "").refused(http.StatusBadRequest, codeInvalidRequest)
	_, list, _ := strings.Cut(detail, "there are: ")
	taken := strings.Split(list, ", ")
	slices.Sort(taken)
	slices.Sort(toldNames)
	if !slices.Equal(taken, toldNames) {
		o.t.Errorf("the handler takes the parameters %v, the document tells %v", taken, toldNames)
	}
}

// valueOf is a value that a parameter may have.
func valueOf(s *schema) string {
	switch {
	case s.Enum != nil:
		return s.Enum[0]
	case s.Format == "uuid":
		return job.NewID().String()
	case s.Format == "date-time":
		return "2026-01-02T03:04:05Z"
	case s.Minimum != nil:
		return strconv.Itoa(*s.Minimum)
	case s.Type == "integer":
		return "1"
	case s.Type == "boolean":
		return "true"
	}
	return ""
}

// checkIdempotency compares whether a route looks at Idempotency-Key with what is told.
func (o *office) checkIdempotency(rt route, s sample) {
	o.t.Helper()
	body, keyed := rt.body()
	if body == nil {
		return
	}
	got := o.ask(o.keys[s.as], rt.method, s.path, `{"nobody_knows":1}`, idempotencyHeader, strings.Repeat("k", 300))
	if looks := strings.Contains(string(got.body), idempotencyHeader); looks != keyed {
		o.t.Errorf("looks at %s: %v, the document tells %v", idempotencyHeader, looks, keyed)
	}
}

// checkRefusals asks as nobody, and wrongly.
func (o *office) checkRefusals(rt route, s sample) {
	o.t.Helper()
	if rt.policy != policyAuth { // there the body is the proof
		o.ask("dbk_live_forged", rt.method, s.path, s.body).refused(http.StatusUnauthorized, codeUnauthenticated)
	}
	o.ask(o.keys[s.as], rt.method, s.path+"?x="+strings.Repeat("x", maxURL), s.body).refused(http.StatusRequestURITooLong, codeURLTooLong)
	if body, _ := rt.body(); body != nil {
		o.ask(o.keys[s.as], rt.method, s.path, "{}", "Content-Type", "text/plain").refused(http.StatusUnsupportedMediaType, codeUnsupportedMedia)
		o.ask(o.keys[s.as], rt.method, s.path, `{"nobody_knows":1}`).refused(http.StatusBadRequest, codeInvalidRequest)
		begin, rest, _ := strings.Cut(s.body, `":`)
		o.ask(o.keys[s.as], rt.method, s.path, strings.ToUpper(begin)+`":`+rest).refused(http.StatusBadRequest, codeInvalidRequest)
	}
}

// handler is an API of its own on the office's store.
func (o *office) handler(limits Limiter) http.Handler {
	o.t.Helper()
	catalog, err := directory.Load("../../examples/catalog.yaml")
	if err != nil {
		o.t.Fatal(err)
	}
	return New(Deps{
		Ready: func(context.Context) error { return nil }, Log: slog.New(slog.NewTextHandler(o.log, nil)), Limiter: limits,
		Store: o.store, Clerk: desk{o.store}, Keys: auth.NewVerifier(o.store, o.store), Catalog: catalog, Stall: 10 * time.Minute,
	})
}

// Who is limited is told so as the document says, with its headers.
func TestLimitsAreToldInTheDocument(t *testing.T) {
	policies, err := ratelimit.Policies(ratelimit.Policy{Name: policyStaff, Limit: 2, Window: time.Hour, Down: ratelimit.Local})
	if err != nil {
		t.Fatal(err)
	}
	limiter, err := ratelimit.New(ratelimit.Config{Storage: &ratelimit.InMemory{}, Secret: []byte("of no use but in tests"), Policies: policies})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(limiter.Close)
	o := newOffice(t)
	limits, err := middleware.NewLimits(middleware.LimitsConfig{Limiter: limiter})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(o.handler(limits))
	t.Cleanup(web.Close)
	o.url = web.URL
	for _, status := range []int{http.StatusOK, http.StatusOK, http.StatusTooManyRequests} {
		got := o.ask(o.keys[auth.Staff], "GET", "/api/jobs", "").is(status)
		for name := range promised().of("GET", "/api/jobs").Responses[strconv.Itoa(status)].Headers {
			if got.header.Get(name) == "" {
				t.Errorf("with %d the header %s is told, and not there", status, name)
			}
		}
	}
}

func TestTheDocumentIsServedAndIsOpenAPI31(t *testing.T) {
	o := newOffice(t)
	got := o.ask("", "GET", "/api/openapi.json", "").is(http.StatusOK)
	if !bytes.Equal(got.body, describe((&server{}).routes()).encode()) {
		t.Error("what is served is not what the routes tell")
	}
	o.ask("", "GET", "/api/openapi.json", "", "If-None-Match", got.header.Get("Etag")).is(http.StatusNotModified)
	meta, err := jsonschema.UnmarshalJSON(strings.NewReader(datamodel.OpenAPI31SchemaData))
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(got.body))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("https://spec.openapis.org/oas/3.1/schema/2022-10-07", meta); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("https://spec.openapis.org/oas/3.1/schema/2022-10-07")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(value); err != nil {
		t.Errorf("the document is no OpenAPI 3.1: %v", err)
	}
	// The schemas themselves are left to their own draft by the document's.
	draft, err := c.Compile("https://json-schema.org/draft/2020-12/schema")
	if err != nil {
		t.Fatal(err)
	}
	for name, schema := range value.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any) {
		if err := draft.Validate(schema); err != nil {
			t.Errorf("schema %s: %v", name, err)
		}
	}
}

func TestTheDocumentHasEveryRouteOnceAndNoOther(t *testing.T) {
	d := describe((&server{}).routes())
	for _, fault := range d.faults {
		t.Error(fault)
	}
	ids := map[string]string{}
	for _, rt := range (&server{}).routes() {
		op := d.Paths[rt.path][strings.ToLower(rt.method)]
		if op == nil {
			t.Fatalf("%s %s is missing", rt.method, rt.path)
		}
		if other, ok := ids[op.ID]; ok {
			t.Errorf("%s and %s %s are both called %s", other, rt.method, rt.path, op.ID)
		}
		ids[op.ID] = rt.method + " " + rt.path
		if op.Summary == "" || !strings.HasSuffix(op.Summary, ".") {
			t.Errorf("%s %s: %q is no sentence", rt.method, rt.path, op.Summary)
		}
	}
	n := 0
	for _, methods := range d.Paths {
		n += len(methods)
	}
	if n != len(ids) {
		t.Errorf("%d operations of %d routes", n, len(ids))
	}
	for _, heading := range d.Tags {
		if heading.Description == "" {
			t.Errorf("say in subjects what %s is about", heading.Name)
		}
	}
	for _, heading := range subjects {
		if !slices.ContainsFunc(d.Tags, func(t tag) bool { return t.Name == heading.Name }) {
			t.Errorf("subjects tells of %s, which no route is about", heading.Name)
		}
	}
}

func TestEveryCodeIsTold(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || !strings.HasPrefix(spec.Names[0].Name, "code") {
			return true
		}
		n++
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
			if code, _ := strconv.Unquote(lit.Value); problems[code].says == "" {
				t.Errorf("problems does not say what %s means", code)
			}
		}
		return true
	})
	if n != len(problems) {
		t.Errorf("%d codes, and %d with a meaning", n, len(problems))
	}
}

// The table of docs/api.md is this one. When this fails:
//
//	go test ./internal/api -run TestTheGuideListsEveryCode -update
func TestTheGuideListsEveryCode(t *testing.T) {
	const guide, begin, end = "../../docs/api.md", "<!-- problems: from the code -->\n", "<!-- end of problems -->"
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	table := "| status | code | says |\n|---|---|---|\n"
	for _, code := range problemCodes() {
		if code == codeInternal {
			table += fmt.Sprintf("| 431 | none | the headers have more than %d KB: the server itself says so, in plain text, and closes the connection |\n", headerBytes>>10)
		}
		table += fmt.Sprintf("| %d | `%s` | %s |\n", problems[code].status, code, problems[code].says)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s: no markers %q and %q", guide, begin, end)
	}
	want := before + begin + table + end + after
	if *update {
		if err := os.WriteFile(guide, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(text) {
		t.Errorf("%s is not what the code says; write it anew: go test ./internal/api -run TestTheGuideListsEveryCode -update", guide)
	}
}

// What clients read of a field is the comment beside it. When this fails:
//
//	go test ./internal/api -run TestFieldsAreToldAsTheirCommentsSay -update
func TestFieldsAreToldAsTheirCommentsSay(t *testing.T) {
	c := newSchemas()
	words := map[string]string{}
	r := commentReader{t, map[string]map[string]*ast.TypeSpec{}, words}
	c.of(reflect.TypeFor[problem]())
	for _, rt := range (&server{}).routes() {
		rt.describe(c)
		if rt.method == http.MethodGet && rt.in != nil {
			r.read(reflect.TypeOf(rt.in))
		}
	}
	for _, kind := range c.types {
		r.read(kind)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	if err := e.Encode(words); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("fields.json", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for name, comment := range words {
		if comments[name] != comment {
			t.Errorf("%s: %s", name, comment)
		}
	}
	if t.Failed() {
		t.Error("fields.json is not what the comments say; write it anew: go test ./internal/api -run TestFieldsAreToldAsTheirCommentsSay -update")
	}
}

// commentReader reads the comments beside fields.
type commentReader struct {
	t     *testing.T
	files map[string]map[string]*ast.TypeSpec // by directory and type
	words map[string]string
}

func (r commentReader) read(kind reflect.Type) {
	r.t.Helper()
	name, _, _ := strings.Cut(kind.Name(), "[")
	spec := r.spec(kind.PkgPath(), name)
	fields := spec.Type
	if of, ok := fields.(*ast.SelectorExpr); ok { // type jobView job.Job
		fields = r.spec(strings.TrimSuffix(kind.PkgPath(), "api")+of.X.(*ast.Ident).Name, of.Sel.Name).Type
	}
	for _, f := range fields.(*ast.StructType).Fields.List {
		for _, id := range f.Names {
			if field, ok := kind.FieldByName(id.Name); ok && field.IsExported() && field.Tag.Get("json") != "-" {
				if comment := strings.Join(strings.Fields(f.Doc.Text()+" "+f.Comment.Text()), " "); comment != "" {
					r.words[tellName(kind, field)] = comment
				}
			}
		}
	}
	for f := range eachField(kind) {
		if f.Anonymous && f.Tag.Get("json") == "" {
			r.read(f.Type)
		}
	}
}

// spec finds the declaration of a type in the source of its package.
func (r commentReader) spec(pkg, name string) *ast.TypeSpec {
	r.t.Helper()
	dir := filepath.Join("..", strings.TrimPrefix(pkg, "github.com/directorybolt/directorybolt/internal"))
	if r.files[dir] == nil {
		r.files[dir] = map[string]*ast.TypeSpec{}
		paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(paths) == 0 {
			r.t.Fatalf("no source in %s: %v", dir, err)
		}
		for _, path := range paths {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				r.t.Fatal(err)
			}
			ast.Inspect(file, func(node ast.Node) bool {
				if spec, ok := node.(*ast.TypeSpec); ok {
					r.files[dir][spec.Name.Name] = spec
				}
				return true
			})
		}
	}
	spec := r.files[dir][name]
	if spec == nil {
		r.t.Fatalf("%s declares no %s", dir, name)
	}
	return spec
}

// The page runs nothing, loads nothing, and its one style is the one that is allowed.
func TestThePageOfTheDocumentRunsAndLoadsNothing(t *testing.T) {
	o := newOffice(t)
	got := o.ask("", "GET", "/api/docs", "").is(http.StatusOK)
	text := string(got.body)
	for _, wrong := range []string{"<script", " src=", " style=", "@import", "url(", "<img", "<link", "http:", "https:", "ZgotmplZ", "javascript:"} {
		if strings.Contains(text, wrong) {
			t.Errorf("the page has %q", wrong)
		}
	}
	_, style, _ := strings.Cut(text, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	policy := got.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none';") || !strings.Contains(policy, base64.StdEncoding.EncodeToString(sum[:])) {
		t.Errorf("the policy is %q", policy)
	}
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(text, -1) {
		anchors[m[1]] = true
	}
	for _, m := range regexp.MustCompile(` href="#([^"]+)"`).FindAllStringSubmatch(text, -1) {
		if !anchors[m[1]] {
			t.Errorf("a link leads to #%s, which is not there", m[1])
		}
	}
	for _, rt := range (&server{}).routes() {
		if !anchors[rt.id()] {
			t.Errorf("%s %s is not on the page", rt.method, rt.path)
		}
	}
}
