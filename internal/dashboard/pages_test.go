package dashboard

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/nodetest"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write static/_headers")

// get asks for an address; headers are pairs.
func get(p *Pages, address string, sent ...string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, address, nil)
	for i := 0; i < len(sent); i += 2 {
		r.Header.Set(sent[i], sent[i+1])
	}
	p.ServeHTTP(w, r)
	return w
}

var named = regexp.MustCompile(`(?:href|src)="(assets/[^"]+)"`)

// mentioned are the addresses that the page names.
func mentioned(p *Pages) (addresses []string) {
	for _, m := range named.FindAllStringSubmatch(get(p, "/").Body.String(), -1) {
		addresses = append(addresses, "/"+m[1])
	}
	return addresses
}

func TestThePageIsAskedForEachTimeAndTheRestIsKept(t *testing.T) {
	p := New(false)
	page := get(p, "/")
	if got := page.Header().Get("Cache-Control"); got != askAgain {
		t.Errorf("the page may be kept: %s", got)
	}
	if again := get(p, "/", "If-None-Match", page.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("unchanged, and answered with %d and %d bytes", again.Code, again.Body.Len())
	}
	addresses := mentioned(p)
	if len(addresses) < 10 {
		t.Fatalf("the page names %d files: %v", len(addresses), addresses)
	}
	for _, a := range addresses {
		kept := get(p, a)
		if kept.Code != http.StatusOK || kept.Header().Get("Cache-Control") != forEver {
			t.Errorf("%s: %d, %s", a, kept.Code, kept.Header().Get("Cache-Control"))
		}
		for _, other := range []string{strings.Replace(a, p.version, "0123456789abcdef", 1), strings.Replace(a, prefix+p.version+"/", "", 1)} {
			if w := get(p, other); w.Code != http.StatusOK || w.Header().Get("Cache-Control") != askAgain || !bytes.Equal(w.Body.Bytes(), kept.Body.Bytes()) {
				t.Errorf("%s: %d, %s", other, w.Code, w.Header().Get("Cache-Control"))
			}
		}
	}
}

func TestWhatIsNotThereIsNotServed(t *testing.T) {
	p := New(false)
	for _, a := range []string{
		"/index.html", "/_headers", "/_redirects", "/assets", "/assets/", "/assets/v-" + p.version, "/assets/v-" + p.version + "/", "/assets/../index.html",
		"/assets/v-" + p.version + "/../app.js", "/assets/v-1/v-2/app.js", "/static/index.html", "//", "/nowhere", "",
	} {
		if p.Has(a) {
			t.Errorf("%q is served", a)
		}
	}
}

func TestEveryFileHasItsTypeAndTheHeaders(t *testing.T) {
	p := New(true)
	for a, f := range p.files {
		if f.kind == "" {
			t.Errorf("%s has no media type", a)
		}
		w := get(p, a)
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != f.kind {
			t.Errorf("%s: %d, %q", a, w.Code, w.Header().Get("Content-Type"))
		}
		for _, h := range append(slices.Clone(headers), strictTransport) {
			if got := w.Header().Get(h.name); got != h.value {
				t.Errorf("%s: %s is %q", a, h.name, got)
			}
		}
	}
	if got := get(New(false), "/").Header().Get(strictTransport.name); got != "" {
		t.Errorf("without https: %s is %q", strictTransport.name, got)
	}
}

// modules are the scripts by address.
func modules(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for a, f := range New(false).files {
		if path.Ext(a) == ".js" {
			found[a] = string(f.body)
		}
	}
	if len(found) < 10 {
		t.Fatalf("%d modules", len(found))
	}
	return found
}

// A module that the page does not name is found only when the one before it is there:
// a chain of waits.
func TestThePageNamesEveryModule(t *testing.T) {
	p := New(false)
	got := mentioned(p)
	for a := range modules(t) {
		if want := strings.Replace(a, assets, assets+prefix+p.version+"/", 1); !slices.Contains(got, want) {
			t.Errorf("the page does not name %s", a)
		}
	}
}

var imported = regexp.MustCompile(`(?m)^import .* from '([^']+)';$`)

func TestModulesImportWhatIsThere(t *testing.T) {
	all := modules(t)
	for a, text := range all {
		found := imported.FindAllStringSubmatch(text, -1)
		if len(found) != strings.Count(text, "import ") {
			t.Errorf("%s: %d imports are readable of %d", a, len(found), strings.Count(text, "import "))
		}
		for _, m := range found {
			if _, ok := all[path.Join(path.Dir(a), m[1])]; !ok || !strings.HasPrefix(m[1], ".") {
				t.Errorf("%s imports %s, which is not there", a, m[1])
			}
		}
	}
}

// The page's policy forbids these too; here they are found before anybody runs them.
var forbidden = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|\beval\b|new Function|srcdoc|javascript:|\bimport\(|localStorage|sessionStorage`)

var elsewhere = regexp.MustCompile(`(?i)(?:src|href|url\(|@import|from)\s*[=(]?\s*["']?(?:https?:)?//`)

var inline = regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script(?:\s[^>]*)?>[^<]`)

func TestNothingTurnsTextIntoMarkupAndNothingComesFromElsewhere(t *testing.T) {
	for a, f := range New(false).files {
		text := string(f.body)
		if path.Ext(a) == ".js" {
			if m := forbidden.FindString(text); m != "" {
				t.Errorf("%s has %s", a, m)
			}
		}
		if a == "/" {
			if m := inline.FindString(text); m != "" {
				t.Errorf("%s has %s", a, m)
			}
		}
		if m := elsewhere.FindString(text); m != "" {
			t.Errorf("%s has %s", a, m)
		}
	}
}

func TestAStaticHostSendsTheSameHeaders(t *testing.T) {
	var b strings.Builder
	b.WriteString("# For Netlify. Written from internal/dashboard/pages.go by: go test ./internal/dashboard -update\n/*\n")
	for _, h := range append(slices.Clone(headers), strictTransport) {
		b.WriteString("  " + h.name + ": " + h.value + "\n")
	}
	const file = "static/_headers"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(got), b.String()); d != "" {
		t.Errorf("%s (-got +want):\n%s", file, d)
	}
}

// understood is what Netlify makes of a site.
type understood struct {
	Redirects []struct {
		From, To, Path, Signed string
		Status                 int
		Force                  bool
	}
	Headers []struct {
		For    string
		Values map[string]string
	}
	Errors []string
}

// site is a copy of the folder, pointed at an API as Netlify's build does it.
func site(t *testing.T, env ...string) (folder string, out []byte, err error) {
	t.Helper()
	folder = t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("static")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("../../deploy/netlify/point-at-api.sh", filepath.Join(folder, "_redirects"))
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	out, err = cmd.CombinedOutput()
	return folder, out, err
}

func TestNetlifyPassesTheAPIOnAndSendsTheHeaders(t *testing.T) {
	files, err := fs.Sub(os.DirFS("."), "netlify")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := nodetest.Install("netlify-parsers", files)
	if err != nil {
		t.Fatal(err)
	}
	folder, out, err := site(t, "API_ORIGIN=https://api.example.org", "NETLIFY_SIGNING_SECRET=x")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	toml, err := filepath.Abs("../../netlify.toml")
	if err != nil {
		t.Fatal(err)
	}
	parse := exec.Command("node", filepath.Join(dir, "parse.mjs"), toml, folder)
	parse.Stderr = os.Stderr
	out, err = parse.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got understood
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if len(got.Errors) > 0 || len(got.Redirects) != 1 || len(got.Headers) != 1 {
		t.Fatalf("understood %s", out)
	}
	r := got.Redirects[0]
	if r.From+r.Path != "/api/*" || r.To != "https://api.example.org/api/:splat" || r.Status != 200 || !r.Force || r.Signed != "NETLIFY_SIGNING_SECRET" {
		t.Errorf("the API is passed on as %+v", r)
	}
	want := map[string]string{}
	for _, h := range append(slices.Clone(headers), strictTransport) {
		want[h.name] = h.value
	}
	if d := cmp.Diff(got.Headers[0].Values, want); d != "" || got.Headers[0].For != "/*" {
		t.Errorf("headers for %s (-got +want):\n%s", got.Headers[0].For, d)
	}
	for _, command := range []string{`publish = "internal/dashboard/static"`, `command = "deploy/netlify/point-at-api.sh internal/dashboard/static/_redirects"`} {
		if text, err := os.ReadFile(toml); err != nil || !strings.Contains(string(text), command) {
			t.Errorf("netlify.toml lacks %s", command)
		}
	}
}

func TestNoSiteGoesLiveThatAsksNoAPI(t *testing.T) {
	for _, env := range [][]string{
		{}, {"API_ORIGIN=https://api.example.org"}, {"NETLIFY_SIGNING_SECRET=x"},
		{"NETLIFY_SIGNING_SECRET=x", "API_ORIGIN=http://api.example.org"}, {"NETLIFY_SIGNING_SECRET=x", "API_ORIGIN=https://api.example.org/"},
		{"NETLIFY_SIGNING_SECRET=x", "API_ORIGIN=https://a.org x /* https://b.org"},
	} {
		if _, out, err := site(t, env...); err == nil || !strings.Contains(string(out), "https://") && !strings.Contains(string(out), "secret") {
			t.Errorf("%q: %v, %s", env, err, out)
		}
	}
}
