package directory

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

var fence = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

func document(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/directories.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestExamplesInTheDocumentAreValid(t *testing.T) {
	schema := compileSchema(t)
	catalogs, profiles := 0, 0
	for _, m := range fence.FindAllStringSubmatch(document(t), -1) {
		if !strings.Contains(m[1], "slug:") {
			profiles++
			if _, err := ParseProfile([]byte(m[1])); err != nil {
				t.Errorf("%v\n%s", err, m[1])
			}
			continue
		}
		catalogs++
		findings, err := LintFS(fstest.MapFS{"a.yaml": {Data: []byte(m[1])}}, ".")
		if err != nil || len(findings) > 0 {
			t.Errorf("%v %v\n%s", err, findings, m[1])
		}
		if err := validate(t, schema, []byte(m[1])); err != nil {
			t.Errorf("%v\n%s", err, m[1])
		}
	}
	if catalogs == 0 || profiles == 0 {
		t.Errorf("found %d catalogs and %d profiles", catalogs, profiles)
	}
}

func TestDocumentNamesEveryKeyAndWord(t *testing.T) {
	text := document(t)
	words := append(Keys(), categorySlugs()...)
	words = append(words, needs...)
	words = append(words, socialNetworks...)
	words = append(words, profileFields()...)
	for _, of := range catalogStructs {
		words = append(words, yamlKeys(of)...)
	}
	for _, w := range words {
		if !strings.Contains(text, "`"+w+"`") {
			t.Errorf("docs/directories.md does not name `%s`", w)
		}
	}
}

// The example in the document shows every key that an entry with a form can have.
func TestFullExampleShowsEveryKey(t *testing.T) {
	example := fence.FindStringSubmatch(document(t))[1]
	seldom := map[string]bool{"requires_login": true, "has_captcha": true, "paid": true, "status": true, "json": true, "equals": true, "header": true, "final": true}
	for name, of := range catalogStructs {
		for _, key := range yamlKeys(of) {
			if !seldom[key] && !regexp.MustCompile(`(^|[\s{])`+key+`:`).MatchString(example) {
				t.Errorf("the example has no %s of %s", key, name)
			}
		}
	}
}
