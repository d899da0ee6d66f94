package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed static
var static embed.FS

// kinds are the media types of what is served. The system's table of types, which
// differs from host to host, has no say: with nosniff a wrong one is a blank page.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// policy lets the page load what is beside it and ask the API it came with. Trusted
// types without any policy leave no way to turn text into markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// header is a header of every file. static/_headers says the same to a static host.
type header struct{ name, value string }

var headers = []header{
	{"Content-Security-Policy", policy},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
	{"Referrer-Policy", "no-referrer"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
}

// strictTransport keeps browsers on https where the installation is reached so.
var strictTransport = header{"Strict-Transport-Security", "max-age=31536000"}

// How long browsers keep a file. What changes under its name is asked for each time,
// and answered with its tag alone when it has not; an address that holds the version
// never changes what it answers, so that a visit costs one request.
const (
	askAgain = "no-cache"
	forEver  = "public, max-age=31536000, immutable"
)

// Pages serves the folder. It is safe for concurrent use.
type Pages struct {
	headers []header
	files   map[string]file // by address
	version string          // of all of them together
}

type file struct {
	kind, tag string
	body      []byte
}

// assets is where everything but the page itself is; below it, prefix and version
// stand before the same names.
const (
	assets = "/assets/"
	prefix = "v-"
)

// New reads the folder. Secure says that people reach it over https.
func New(secure bool) *Pages {
	p := &Pages{headers: headers, files: map[string]file{}}
	if secure {
		p.headers = append(headers[:len(headers):len(headers)], strictTransport)
	}
	all := sha256.New()
	err := fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := static.ReadFile(name)
		if err != nil {
			return err
		}
		all.Write([]byte(name))
		all.Write(body)
		p.add(strings.TrimPrefix(name, "static"), path.Ext(name), body)
		return nil
	})
	if err != nil {
		panic(err) // what is embedded can be read
	}
	p.version = hex.EncodeToString(all.Sum(nil))[:16]
	page := p.files["/index.html"].body
	page = bytes.ReplaceAll(page, []byte(`"assets/`), []byte(`"assets/`+prefix+p.version+`/`))
	delete(p.files, "/index.html")
	p.add("/", ".html", page)
	return p
}

func (p *Pages) add(address, ext string, body []byte) {
	sum := sha256.Sum256(body)
	p.files[address] = file{kinds[ext], `"` + hex.EncodeToString(sum[:8]) + `"`, body}
}

// find returns the file of an address, and for how long it may be kept.
func (p *Pages) find(address string) (f file, keep string, ok bool) {
	if f, ok = p.files[address]; ok {
		return f, askAgain, true
	}
	versioned, ok := strings.CutPrefix(address, assets+prefix)
	if !ok {
		return file{}, "", false
	}
	version, name, _ := strings.Cut(versioned, "/")
	f, ok = p.files[assets+name]
	if version == p.version {
		return f, forEver, ok
	}
	return f, askAgain, ok // for a page of another release, in the middle of a deploy
}

// Has reports whether there is a file at an address.
func (p *Pages) Has(address string) bool {
	_, _, ok := p.find(address)
	return ok
}

// ServeHTTP answers GET and HEAD for what the folder [Pages.Has].
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, keep, ok := p.find(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	for _, set := range p.headers {
		h.Set(set.name, set.value)
	}
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", keep)
	h.Set("ETag", f.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}
