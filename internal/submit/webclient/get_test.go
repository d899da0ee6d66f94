package webclient

import (
	"compress/gzip"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
)

func TestGetSaysWhoWeAre(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.UserAgent()) })
	p, err := visit(t, s).Get(t.Context(), s.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Text(), "DirectoryBolt/1.2 (+https://directorybolt.example/bot)"; got != want {
		t.Errorf("User-Agent = %q, want %q", got, want)
	}
}

func TestGetKeepsCookiesAndFollowsRedirects(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		// The first visit to /add is sent back to /add with a cookie: no loop.
		if _, err := r.Cookie("seen"); err != nil {
			http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1", Path: "/"})
			http.Redirect(w, r, "/add#top", http.StatusFound)
			return
		}
		fmt.Fprintf(w, "%s %s", r.URL.Path, r.Referer())
	})
	p, err := visit(t, s).Get(t.Context(), s.URL+"/add", "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Text(), "/add "+s.URL+"/add"; got != want {
		t.Errorf("body = %q, want %q", got, want)
	}
	if p.URL.String() != s.URL+"/add" || len(p.Hops) != 1 || p.Hops[0].Status != http.StatusFound {
		t.Errorf("page = %s after %+v", p.URL, p.Hops)
	}
}

func TestSessionsShareNoCookies(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "who", Value: "first"})
		fmt.Fprint(w, r.Header.Get("Cookie"))
	})
	c := newClient(t)
	for range 2 {
		p, err := c.Visit(NewHosts(s.URL), 0).Get(t.Context(), s.URL, "")
		if err != nil || p.Text() != "" {
			t.Errorf("a new session brought the cookie %q, error %v", p.Text(), err)
		}
	}
}

func TestURLsOfRedirectsAreFitToBeStored(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.Header()["Location"] = []string{" http://u:secret@" + r.Host + "/thanks?who=\xff\xfe<b>#frag "}
			w.WriteHeader(http.StatusFound)
		}
	})
	p, err := visit(t, s).Get(t.Context(), s.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.URL.String(), s.URL+"/thanks?who=%FF%FE%3Cb%3E"; got != want {
		t.Errorf("URL = %q, want %q", got, want)
	}
}

func TestMediaTypeIsOneOrBytes(t *testing.T) {
	for header, want := range map[string]string{
		"text/html; charset=utf-8; charset=utf-8": "text/html", "Text/HTML": "text/html", "text/html;": "text/html",
		"\xff\xfe": "application/octet-stream", "html please": "application/octet-stream", strings.Repeat("a", 200) + "/b": "application/octet-stream",
	} {
		if got := (&Page{Header: http.Header{"Content-Type": {header}}}).MediaType(); got != want {
			t.Errorf("MediaType(%q) = %q, want %q", header, got, want)
		}
	}
}

func TestGetEndsLoopsAndLongChains(t *testing.T) {
	for name, next := range map[string]func(n int32) string{
		"loop":  func(n int32) string { return fmt.Sprint("/", n%2) },
		"chain": func(n int32) string { return fmt.Sprint("/", n) },
		"self":  func(int32) string { return "/" },
	} {
		var hits atomic.Int32
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, next(hits.Add(1)), http.StatusFound)
		})
		_, err := visit(t, s).Get(t.Context(), s.URL+"/", "")
		var redirect *RedirectError
		fault, ok := errors.AsType[*Fault](err)
		if !ok || fault.Class != directory.ClassPermanent || !errors.As(err, &redirect) {
			t.Errorf("%s: error = %v, want a permanent RedirectError", name, err)
		}
		if most := map[string]int32{"loop": 3, "self": 1, "chain": MaxRedirects + 1}[name]; hits.Load() > most {
			t.Errorf("%s: %d requests, want %d at most", name, hits.Load(), most)
		}
	}
}

func TestGetFollowsFiveRedirects(t *testing.T) {
	var hits atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n := hits.Add(1); n <= MaxRedirects {
			http.Redirect(w, r, fmt.Sprint("/", n), http.StatusMovedPermanently)
		}
	})
	if _, err := visit(t, s).Get(t.Context(), s.URL, ""); err != nil {
		t.Error(err)
	}
}

func TestGetCutsEndlessPages(t *testing.T) {
	for _, zipped := range []bool{false, true} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			chunk := []byte(strings.Repeat("all work and no play ", 1000))
			if !zipped {
				for r.Context().Err() == nil {
					if _, err := w.Write(chunk); err != nil {
						return
					}
				}
				return
			}
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for r.Context().Err() == nil {
				if _, err := z.Write(chunk); err != nil {
					return
				}
			}
		})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		p, err := visit(t, s).Get(t.Context(), s.URL, "")
		if err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if len(p.Body) != MaxBody || !p.Truncated || p.Broken != nil {
			t.Errorf("zipped %t: %d bytes, truncated %t, broken %v", zipped, len(p.Body), p.Truncated, p.Broken)
		}
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4*MaxBody {
			t.Errorf("zipped %t: the heap grew by %d bytes", zipped, grown)
		}
	}
}

func TestGetTimesOutOnPageThatDrips(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "<form>")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	p, err := newClient(t).Visit(NewHosts(s.URL), time.Second).Get(t.Context(), s.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	if p.Broken == nil || p.Text() != "<form>" {
		t.Errorf("page = %q, broken %v; want what came, and the error", p.Text(), p.Broken)
	}
}

func TestGetNamesWhatNobodyAnswered(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	s.Close()
	_, err := visit(t, s).Get(t.Context(), s.URL, "")
	if fault, ok := errors.AsType[*Fault](err); !ok || fault.Class != directory.ClassNotSent || !strings.Contains(err.Error(), s.URL) {
		t.Errorf("error = %v, want a fault of class not_sent that names the URL", err)
	}
}

func TestTextReadsEveryCharset(t *testing.T) {
	const word = "Zürich Bäckerei"
	latin, _ := charmap.ISO8859_1.NewEncoder().String(word)
	wide, _ := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(word)
	jis, _ := japanese.ShiftJIS.NewEncoder().String("<p>東京")
	for name, c := range map[string]struct{ header, body, want, charset string }{
		"header":        {"text/html; charset=iso-8859-1", latin, word, "windows-1252"},
		"meta":          {"text/html", `<meta charset="iso-8859-1">` + latin, `<meta charset="iso-8859-1">` + word, "windows-1252"},
		"BOM":           {"text/html; charset=iso-8859-1", wide, word, "utf-16le"},
		"UTF-8 BOM":     {"text/html", "\xef\xbb\xbf" + word, word, "utf-8"},
		"undeclared":    {"text/html", latin, word, "windows-1252"},
		"UTF-8 by look": {"text/html", strings.Repeat(" ", 2000) + word, strings.Repeat(" ", 2000) + word, "utf-8"},
		"shift_jis":     {"text/html; charset=Shift_JIS", jis, "<p>東京", "shift_jis"},
		"JSON":          {"application/json", `{"city":"Zürich"}`, `{"city":"Zürich"}`, "utf-8"},
		"broken UTF-8":  {"text/html; charset=utf-8", "a\xffb", "a\uFFFDb", "utf-8"},
		"no such label": {"text/html; charset=klingon", word, word, "utf-8"},
	} {
		p := &Page{Header: http.Header{"Content-Type": {c.header}}, Body: []byte(c.body)}
		if got := p.Text(); got != c.want {
			t.Errorf("%s: text = %q, want %q", name, got, c.want)
		}
		if got := p.Charset(); got != c.charset {
			t.Errorf("%s: charset = %q, want %q", name, got, c.charset)
		}
	}
}

func TestRetryAfterReadsSecondsAndDates(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"120": 2 * time.Minute, "0": 0, " 7 ": 7 * time.Second,
		"Sun, 01 Mar 2026 12:01:30 GMT": 90 * time.Second,
		"Sun, 01 Mar 2026 11:00:00 GMT": 0,
		"999999":                        24 * time.Hour,
		"99999999999999999999999":       24 * time.Hour,
		"Mon, 01 Mar 2027 12:00:00 GMT": 24 * time.Hour,
		"-5":                            0, "soon": 0,
	} {
		got, asked := RetryAfter(http.Header{"Retry-After": {v}}, now)
		if got != want || !asked {
			t.Errorf("RetryAfter(%q) = %v, %t, want %v", v, got, asked, want)
		}
	}
	if d, asked := RetryAfter(http.Header{}, now); d != 0 || asked {
		t.Errorf("RetryAfter of nothing = %v, %t", d, asked)
	}
}
