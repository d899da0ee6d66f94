package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// contract is what /api/openapi.json promises. Every request of these tests is held
// against it, and every answer: office.ask sees to it.
type contract struct {
	mux        *http.ServeMux // finds the route of a path
	operations map[string]*operation
	compiler   *jsonschema.Compiler
	mu         sync.Mutex // the compiler is for one at a time
}

const documentURL = "https://directorybolt.test/openapi.json"

// promised is the contract, made once.
var promised = sync.OnceValue(func() *contract {
	d := describe((&server{}).routes())
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(d.encode()))
	if err != nil {
		panic(err)
	}
	shut(value)
	c := &contract{mux: http.NewServeMux(), operations: map[string]*operation{}, compiler: jsonschema.NewCompiler()}
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource(documentURL, value); err != nil {
		panic(err)
	}
	for _, op := range d.operations {
		pattern := op.Method + " " + op.Path
		c.operations[pattern] = op
		c.mux.Handle(pattern, http.NotFoundHandler())
	}
	return c
})

// shut lets objects have no members but those that are told. Clients must be ready for
// more; these tests want to hear of them.
func shut(value any) {
	switch value := value.(type) {
	case []any:
		for _, v := range value {
			shut(v)
		}
	case map[string]any:
		for _, v := range value {
			shut(v)
		}
		if value["type"] == "object" && value["properties"] != nil {
			value["additionalProperties"] = false
		}
	}
}

// of finds the route that answers; nil: none does.
func (c *contract) of(method, target string) *operation {
	r, err := http.NewRequest(method, target, nil)
	if err != nil || !clean(r.URL.Path) {
		return nil
	}
	_, pattern := c.mux.Handler(r)
	return c.operations[pattern]
}

// valid reports how a JSON text differs from the schema at a place of the document.
func (c *contract) valid(text []byte, place ...string) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	var pointer strings.Builder
	for _, part := range place {
		pointer.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.compiler.Compile(documentURL + (&url.URL{Fragment: pointer.String()}).String())
	if err != nil {
		return err
	}
	return s.Validate(value)
}

// check holds a request and its answer against the document.
func (c *contract) check(method, target string, sent []byte, status int, h http.Header, got []byte) error {
	op := c.of(method, target)
	if op == nil {
		if status < http.StatusBadRequest && method != http.MethodHead {
			return fmt.Errorf("it is answered with %d, and not in the document", status)
		}
		return nil
	}
	if status < http.StatusBadRequest {
		if err := c.checkRequest(op, target, sent); err != nil {
			return fmt.Errorf("the request was taken: %w", err)
		}
	}
	if method == http.MethodHead && len(got) == 0 {
		return nil
	}
	if err := c.checkAnswer(op, status, h, got); err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	return nil
}

func (c *contract) checkRequest(op *operation, target string, sent []byte) error {
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	for name := range u.Query() {
		if op.parameter("query", name) == nil {
			return fmt.Errorf("the parameter %s is not told", name)
		}
	}
	if op.Body == nil {
		if len(sent) > 0 {
			return fmt.Errorf("no body is told")
		}
		return nil
	}
	if sent, err = withoutNulls(sent); err != nil {
		return err
	}
	return c.valid(sent, "paths", op.Path, strings.ToLower(op.Method), "requestBody", "content", "application/json", "schema")
}

// withoutNulls leaves members out that are null.
func withoutNulls(sent []byte) ([]byte, error) {
	var value any
	d := json.NewDecoder(bytes.NewReader(sent))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	strip(value)
	return json.Marshal(value)
}

func strip(value any) {
	switch value := value.(type) {
	case []any:
		for _, v := range value {
			strip(v)
		}
	case map[string]any:
		maps.DeleteFunc(value, func(_ string, v any) bool { return v == nil })
		for _, v := range value {
			strip(v)
		}
	}
}

func (c *contract) checkAnswer(op *operation, status int, h http.Header, got []byte) error {
	code := strconv.Itoa(status)
	told := op.Responses[code]
	if told == nil {
		return fmt.Errorf("a status of %d is not told, only %v: %s", status, keysOf(op.Responses), got)
	}
	for _, name := range []string{"Location", "Retry-After", "WWW-Authenticate", "RateLimit", "Idempotency-Replayed"} {
		if h.Get(name) != "" && told.Headers[name] == nil {
			return fmt.Errorf("with %d the header %s is not told", status, name)
		}
	}
	if h.Get("X-Request-Id") == "" {
		return fmt.Errorf("X-Request-Id is missing")
	}
	if len(got) == 0 {
		if len(told.Content) > 0 {
			return fmt.Errorf("it has no body, want one of %v", keysOf(told.Content))
		}
		return nil
	}
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return err
	}
	if _, ok := told.Content[kind]; !ok {
		return fmt.Errorf("with %d a body of %s is not told: %s", status, kind, got)
	}
	if !strings.HasSuffix(kind, "json") {
		return nil
	}
	if err := c.valid(got, "paths", op.Path, strings.ToLower(op.Method), "responses", code, "content", kind, "schema"); err != nil {
		return fmt.Errorf("%w\nin %s", err, got)
	}
	if kind == "application/problem+json" {
		var p struct{ Code string }
		if err := json.Unmarshal(got, &p); err != nil {
			return err
		}
		if problems[p.Code].status != status {
			return fmt.Errorf("the code %s comes with %d, and is told to come with %d", p.Code, status, problems[p.Code].status)
		}
		if !slices.Contains(told.Codes, p.Code) {
			return fmt.Errorf("with %d the code %s is not told, only %v", status, p.Code, told.Codes)
		}
	}
	return nil
}

// checkMessage holds the data of an event of the stream against the document.
func (c *contract) checkMessage(data []byte) error {
	return c.valid(data, "paths", "/api/events", "get", "responses", "200", "content", streamMedia, "x-messages")
}

func (op *operation) parameter(in, name string) *parameter {
	for i, p := range op.Parameters {
		if p.In == in && p.Name == name {
			return &op.Parameters[i]
		}
	}
	return nil
}

func keysOf[V any](m map[string]V) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
