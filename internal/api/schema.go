package api

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
)

// schema is a JSON Schema (2020-12), as far as the bodies of the API need it.
type schema struct {
	Ref         string     `json:"$ref,omitempty"`
	AnyOf       []*schema  `json:"anyOf,omitempty"`
	Type        string     `json:"type,omitempty"`
	Format      string     `json:"format,omitempty"`
	Description string     `json:"description,omitempty"`
	Enum        []string   `json:"enum,omitempty"`
	Minimum     *int       `json:"minimum,omitempty"`
	Maximum     *int       `json:"maximum,omitempty"`
	MaxLength   int        `json:"maxLength,omitempty"`
	Default     any        `json:"default,omitempty"`
	Items       *schema    `json:"items,omitempty"`
	Names       *schema    `json:"propertyNames,omitempty"`
	Values      *schema    `json:"additionalProperties,omitempty"`
	Properties  properties `json:"properties,omitempty"`
	Required    []string   `json:"required,omitempty"`
}

// properties keep the order in which a type declares them.
type properties []property

type property struct {
	Name   string
	Schema *schema
}

// MarshalJSON makes an object of them.
func (ps properties) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, p := range ps {
		if i > 0 {
			b.WriteByte(',')
		}
		name, _ := json.Marshal(p.Name) // a string: it never fails
		value, err := json.Marshal(p.Schema)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// enums are the words of types that have a closed set of them.
var enums = map[reflect.Type][]string{
	reflect.TypeFor[job.State]():                 texts(job.States),
	reflect.TypeFor[job.Detector]():              texts([]job.Detector{job.Liveness, job.Progress, job.DeathWatch, job.Orphan}),
	reflect.TypeFor[directory.SubmissionState](): texts(directory.SubmissionStates),
	reflect.TypeFor[directory.Method](): texts([]directory.Method{
		directory.MethodForm, directory.MethodBrowser, directory.MethodAPI, directory.MethodManual, directory.MethodCanary,
	}),
	reflect.TypeFor[queueState](): append(texts(job.States), string(noOrder)),
	reflect.TypeFor[job.Fate]():   texts(job.Fates),
	reflect.TypeFor[auth.Role]():  texts(auth.Roles),
}

func texts[S ~string](words []S) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = string(w)
	}
	return list
}

// comments are what the comments beside the fields say, by type and field; written and
// checked by TestFieldsAreToldAsTheirCommentsSay.
var comments = func() (words map[string]string) {
	if err := json.Unmarshal(fieldsJSON, &words); err != nil {
		panic("api: fields.json: " + err.Error())
	}
	return words
}()

//go:embed fields.json
var fieldsJSON []byte

// shaped is a type that knows more of some members than their own types say.
type shaped interface {
	// shapes are zero values of what stands under these names.
	shapes() map[string]any
}

// schemas collects what types look like. Structs get a name and are told once. What
// cannot be told is a fault of this package: a test fails, and clients read less.
type schemas struct {
	named  map[string]*schema
	types  map[string]reflect.Type
	faults []string
}

func (c *schemas) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

func newSchemas() *schemas {
	return &schemas{named: map[string]*schema{}, types: map[string]reflect.Type{}}
}

var (
	timeType = reflect.TypeFor[time.Time]()
	uuidType = reflect.TypeFor[uuid.UUID]()
	rawType  = reflect.TypeFor[json.RawMessage]()
)

// of is the schema of a type.
func (c *schemas) of(t reflect.Type) *schema {
	if words, ok := enums[t]; ok {
		return &schema{Type: "string", Enum: words}
	}
	switch t {
	case timeType:
		return &schema{Type: "string", Format: "date-time"}
	case uuidType:
		return &schema{Type: "string", Format: "uuid"}
	case rawType:
		return &schema{} // any JSON
	}
	switch t.Kind() {
	case reflect.Pointer:
		return c.of(t.Elem())
	case reflect.Interface:
		return &schema{}
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Uint64:
		return &schema{Type: "integer"}
	case reflect.Float64:
		return &schema{Type: "number"}
	case reflect.Slice:
		return &schema{Type: "array", Items: c.of(t.Elem())}
	case reflect.Map:
		s := &schema{Type: "object", Values: c.of(t.Elem())}
		if names := c.of(t.Key()); names.Enum != nil {
			s.Names = names
		}
		return s
	case reflect.String:
		if t.PkgPath() != "" {
			c.fault("say in enums which words a %s may be", t)
		}
		return &schema{Type: "string"}
	case reflect.Struct:
		return c.ref(t)
	}
	c.fault("a body cannot have a %s", t)
	return &schema{}
}

const refPrefix = "#/components/schemas/"

// ref names a struct and tells it, once.
func (c *schemas) ref(t reflect.Type) *schema {
	name := nameOf(t)
	if known, ok := c.types[name]; ok && known != t {
		c.fault("%s and %s are both called %s", known, t, name)
	}
	if c.types[name] == nil {
		c.types[name] = t
		s := &schema{Type: "object"}
		c.named[name] = s // before its fields, which may lead back to it
		c.fields(s, t)
	}
	return &schema{Ref: refPrefix + name}
}

// fields adds the fields of a struct as encoding/json shows them: those that an outer
// struct has by the same name are hidden.
func (c *schemas) fields(s *schema, t reflect.Type, hidden ...string) {
	var shapes map[string]any
	if v, ok := reflect.Zero(t).Interface().(shaped); ok {
		shapes = v.shapes()
	}
	for f := range eachField(t) {
		tag, ok := f.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		if f.Anonymous && !ok {
			c.fields(s, f.Type, append(namesIn(t), hidden...)...)
			continue
		}
		if name == "-" || !f.IsExported() || slices.Contains(hidden, name) {
			continue
		}
		kind := f.Type
		if shape, ok := shapes[name]; ok {
			kind = reflect.TypeOf(shape)
		}
		p := c.of(kind)
		if kind.Kind() == reflect.Pointer && !strings.Contains(options, "omit") {
			p = &schema{AnyOf: []*schema{p, {Type: "null"}}}
		}
		p.Description = comments[tellName(t, f)]
		s.Properties = append(s.Properties, property{name, p})
		if !strings.Contains(options, "omit") {
			s.Required = append(s.Required, name)
		}
	}
}

// namesIn are the names that a struct gives to fields of its own.
func namesIn(t reflect.Type) (names []string) {
	for f := range eachField(t) {
		if tag, ok := f.Tag.Lookup("json"); ok {
			name, _, _ := strings.Cut(tag, ",")
			names = append(names, name)
		}
	}
	return names
}

// tellName is the name of a field in fields.json.
func tellName(t reflect.Type, f reflect.StructField) string {
	kind, _, _ := strings.Cut(t.String(), "[")
	return kind + "." + f.Name
}

// eachField lists the fields that a struct declares itself.
func eachField(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// generic is a type like page[path/of/api.orderView].
var generic = regexp.MustCompile(`^(\w+)\[(?:.*\.)?(\w+)\]$`)

// nameOf is what clients call a type: Order for orderView, OrderPage for a page of them.
func nameOf(t reflect.Type) string {
	name := t.Name()
	if m := generic.FindStringSubmatch(name); m != nil {
		return titled(m[2]) + titled(m[1])
	}
	return titled(name)
}

func titled(name string) string {
	name = strings.TrimSuffix(name, "View")
	return string(unicode.ToUpper(rune(name[0]))) + name[1:]
}
