package directory

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compileSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("catalog.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("catalog.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// validate checks YAML against the schema, read by another way than the loader's.
func validate(t testing.TB, schema *jsonschema.Schema, text []byte) error {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}

// catalogFilesOfTheProject are all catalogs that stand in the repository as files.
func catalogFilesOfTheProject(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("../../examples/catalog*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no catalogs: %v", err)
	}
	return files
}

func TestShippedCatalogsSatisfySchemaAndLint(t *testing.T) {
	schema := compileSchema(t)
	for _, file := range catalogFilesOfTheProject(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, schema, text); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		findings, err := Lint(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			t.Error(f)
		}
	}
}

func TestSchemaAcceptsWhatLintAccepts(t *testing.T) {
	schema := compileSchema(t)
	for _, change := range [][2]string{
		{"", ""},
		{"category: general", "category: bakery"},
		{"method: form", "method: form\nactive: false\nautomation: allowed\nchecked: 2026-11-23\ncountry: [US, DE]"},
		{"text: thank you", "status: 201, json: data.id, equals: 7"},
		{"profile: name", "value: true"},
		{"profile: name", "file: logo"},
		{"method: form", "method: form\npacing: {min_interval: 1m30s, timeout: 0, daily_cap: 5}\ncategories: {bakery: 7, '*': Other}"},
		{"method: form", "method: form\nlookup: {url: 'https://acme.example/?q={name}', found: [{text: '{name}'}], absent: [{status: 404}], absence_is_proof: true, settle: 30s, listing: {final: true}}"},
		{"method: form", "method: form\naction: [{selector: .g-recaptcha, need: captcha}]\nrejected: [{text: no, reason: duplicate}]\nlisting: {header: Location}"},
	} {
		text := strings.Replace(formEntry, change[0], change[1], 1)
		if _, err := loadText(t, text); err != nil {
			t.Errorf("%q: lint: %v", change[1], err)
		}
		if err := validate(t, schema, []byte(text)); err != nil {
			t.Errorf("%q: schema: %v", change[1], err)
		}
	}
}

func TestSchemaAndLintRefuseAlike(t *testing.T) {
	schema := compileSchema(t)
	const lookup = "method: form\nlookup: {url: 'https://acme.example/?q={name}', found: [{text: x}]"
	for _, change := range [][2]string{
		{"slug: acme\n", ""},
		{"slug: acme", "slug: Acme!"},
		{"name: Acme", "name: ' '"},
		{"name: Acme", "name: Acme\ncolour: red"},
		{"url: https://acme.example/", "url: acme.example"},
		{"url: https://acme.example/", "url: https://me@acme.example/"},
		{"category: general", "category: bakry"},
		{"tier: 1", "tier: 0"},
		{"tier: 1", "tier: '1'"},
		{"authority: 50", "authority: 101"},
		{"authority: 50\n", ""},
		{"method: form", "method: fax"},
		{"method: form", "method: form\nautomation: maybe"},
		{"method: form", "method: manual"},
		{"method: form", "method: form\ncountry: [us]"},
		{"method: form", "method: form\ncountry: [US, US]"},
		{"method: form", "method: form\nactive: 1"},
		{"method: form", "method: form\nchecked: yesterday"},
		{"method: form", "method: form\nchecked: 2026-02-30"},
		{"method: form", "method: form\npacing: {daily_cap: -1}"},
		{"method: form", "method: form\npacing: {min_interval: often}"},
		{"method: form", "method: form\npacing: {min_interval: 30}"},
		{"method: form", "method: form\npacing: {timeout: -1s}"},
		{"method: form", "method: form\ncategories: {bakry: 7}"},
		{"method: form", "method: form\nlisting: {}"},
		{"method: form", "method: form\nlisting: {selector: a, json: b}"},
		{"method: form", "method: form\naction: [{text: a}]"},
		{"method: form", "method: form\naction: [{text: a, need: magic}]"},
		{"method: form", "method: form\nrejected: [{reason: a}]"},
		{"method: form", lookup + ", absence_is_proof: true}"},
		{"method: form", lookup + ", absent: [{}]}"},
		{"method: form", lookup + ", settle: -1s}"},
		{"method: form", "method: form\nlookup: {url: 'https://acme.example/?q={name}', found: []}"},
		{"method: form", "method: form\nlookup: {url: 'https://acme.example/', found: [{text: x}]}"},
		{"method: form", "method: form\nlookup: {url: 'https://{website_host}/', found: [{text: x}]}"},
		{"start: https://acme.example/add", "start: /add"},
		{"start: https://acme.example/add", "start: https://acme.example/add\n  pages: 2"},
		{"  start: https://acme.example/add\n", ""},
		{"{name: company, profile: name}", "{profile: name}"},
		{"{name: company, profile: name}", "{name: a, css: b, profile: name}"},
		{"{name: company, profile: name}", "{name: a}"},
		{"{name: company, profile: name}", "{name: a, profile: name, value: b}"},
		{"{name: company, profile: name}", "{name: a, profile: shoe_size}"},
		{"{name: company, profile: name}", "{name: a, file: photo}"},
		{"{name: company, profile: name}", "{name: a, profile: name, max: -1}"},
		{"success: [{text: thank you}]\n", ""},
		{"success: [{text: thank you}]", "success: []"},
		{"text: thank you", ""},
		{"text: thank you", "text: thank you, status: 42"},
		{"text: thank you", "text: thank you, equals: ok"},
		{"text: thank you", "text: [thank you]"},
		{formEntry, "directories: []"},
		{formEntry, "[]"},
	} {
		text := strings.Replace(formEntry, change[0], change[1], 1)
		if text == formEntry {
			t.Fatalf("%q changes nothing", change[0])
		}
		findings, err := LintFS(fstest.MapFS{"a.yaml": {Data: []byte(text)}}, ".")
		if err != nil || len(findings) == 0 {
			t.Errorf("%q for %q: lint accepts it (%v)", change[1], change[0], err)
		}
		if err := validate(t, schema, []byte(text)); err == nil {
			t.Errorf("%q for %q: the schema accepts it", change[1], change[0])
		}
	}
}

// schemaDefs are the definitions of the schema that mirror structs.
func schemaDefs(t testing.TB) map[string]struct {
	Enum       []string
	Properties map[string]json.RawMessage
} {
	t.Helper()
	var schema struct {
		Defs map[string]struct {
			Enum       []string
			Properties map[string]json.RawMessage
		} `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	return schema.Defs
}

// catalogStructs are the structs that make up an entry, by their name in the schema.
var catalogStructs = map[string]reflect.Type{
	"directory": reflect.TypeFor[Directory](), "form": reflect.TypeFor[Form](), "step": reflect.TypeFor[Step](), "field": reflect.TypeFor[Field](),
	"rule": reflect.TypeFor[Rule](), "action": reflect.TypeFor[ActionRule](), "extract": reflect.TypeFor[Extract](),
	"lookup": reflect.TypeFor[Lookup](), "pacing": reflect.TypeFor[Pacing](),
}

func yamlKeys(t reflect.Type) []string {
	var keys []string
	for _, k := range structKeys(t) {
		keys = append(keys, k.key)
	}
	return keys
}

func TestSchemaHasTheKeysOfTheStructs(t *testing.T) {
	defs := schemaDefs(t)
	for name, of := range catalogStructs {
		want, got := slices.Sorted(slices.Values(yamlKeys(of))), slices.Sorted(maps.Keys(defs[name].Properties))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-struct +schema):\n%s", name, diff)
		}
		for key, p := range defs[name].Properties {
			if !strings.Contains(string(p), `"description"`) && !strings.Contains(string(p), `"$ref"`) {
				t.Errorf("%s.%s has no description", name, key)
			}
		}
	}
}

func TestSchemaHasTheWordsOfTheTables(t *testing.T) {
	defs := schemaDefs(t)
	property := func(def, key string) []string {
		var p struct{ Enum []string }
		if err := json.Unmarshal(defs[def].Properties[key], &p); err != nil {
			t.Fatal(err)
		}
		return p.Enum
	}
	for name, words := range map[string][2][]string{
		"profile keys": {Keys(), defs["profile_key"].Enum},
		"categories":   {categorySlugs(), defs["category"].Enum},
		"countries":    {slices.Sorted(maps.Keys(countries)), defs["country"].Enum},
		"needs":        {needs, property("action", "need")},
		"methods":      {strings.Split(list(methods), ", "), property("directory", "method")},
		"automation":   {strings.Split(list(automations), ", "), property("directory", "automation")},
		"files":        {fileKeys, property("field", "file")},
	} {
		if diff := cmp.Diff(words[0], words[1]); diff != "" {
			t.Errorf("%s (-table +schema):\n%s", name, diff)
		}
	}
}

// profileFields are the keys of a profile file.
func profileFields() []string { return yamlKeys(reflect.TypeFor[Business]()) }
