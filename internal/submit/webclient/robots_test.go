package webclient

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestRobotsRules(t *testing.T) {
	for _, c := range []struct {
		name, file, path string
		want             bool
	}{
		{"no file", "", "/add", true},
		{"everybody out", "User-agent: *\nDisallow: /", "/add", false},
		{"everybody out, but for the file itself", "User-agent: *\nDisallow: /", "/robots.txt", true},
		{"empty disallow allows", "User-agent: *\nDisallow:", "/add", true},
		{"empty disallow does not join the next group", "User-agent: *\nDisallow:\nUser-agent: BadBot\nDisallow: /", "/add", true},
		{"our group wins over everybody's", "User-agent: *\nDisallow: /\n\nUser-agent: DirectoryBolt\nAllow: /", "/add", true},
		{"our group wins in any order", "User-agent: directorybolt/2.0\nDisallow: /add\nUser-agent: *\nAllow: /", "/add", false},
		{"our group may be empty", "User-agent: directorybolt\nDisallow:\nUser-agent: *\nDisallow: /", "/add", true},
		{"groups of one name are one", "User-agent: directorybolt\nDisallow: /a\nUser-agent: x\nDisallow: /\nUser-agent: directorybolt\nDisallow: /b", "/b", false},
		{"agents share a group", "User-agent: x\nUser-agent: *\nDisallow: /add", "/add", false},
		{"another name's beginning is not ours", "User-agent: directory\nDisallow: /", "/add", true},
		{"longest wins", "User-agent: *\nDisallow: /\nAllow: /add", "/add/now", true},
		{"longest wins the other way", "User-agent: *\nAllow: /\nDisallow: /add", "/add", false},
		{"allow wins a tie", "User-agent: *\nDisallow: /add\nAllow: /add", "/add", true},
		{"star", "User-agent: *\nDisallow: *", "/add", false},
		{"star inside", "User-agent: *\nDisallow: /*/new", "/a/b/new?x", false},
		{"star inside is anchored", "User-agent: *\nDisallow: /a*b", "/x/a1b", true},
		{"dollar", "User-agent: *\nDisallow: /add$", "/add/more", true},
		{"dollar at the end", "User-agent: *\nDisallow: /*.php$", "/add.php", false},
		{"query", "User-agent: *\nDisallow: /*?add=", "/x?add=1", false},
		{"escapes", "User-agent: *\nDisallow: /a%3cd", "/a%3Cd", false},
		{"escaped letters", "User-agent: *\nDisallow: /%61dd", "/add", false},
		{"UTF-8", "User-agent: *\nDisallow: /für", "/f%C3%BCr", false},
		{"case of paths matters", "User-agent: *\nDisallow: /Add", "/add", true},
		{"rules before an agent count for nobody", "Disallow: /\nUser-agent: *\nDisallow: /x", "/add", true},
		{"nonsense is passed over", "Crawl-delay: soon\n<html>\nUser-agent: *\nCrawl-delay: -1\nDisallow: /add", "/add", false},
		{"comments and CR", "\xef\xbb\xbfuser-AGENT : * # all\rdisallow :/add#x\r\n", "/add", false},
	} {
		if got := parseRobots([]byte(c.file), "directorybolt").allow(c.path); got != c.want {
			t.Errorf("%s: allow(%s) = %t, want %t", c.name, c.path, got, c.want)
		}
	}
}

func TestAllowedReadsRobotsOnceAnHour(t *testing.T) {
	var hits atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/robots.txt" {
			http.NotFound(w, r)
			return
		}
		hits.Add(1)
		fmt.Fprint(w, "User-agent: *\nDisallow: /private\n")
	})
	c := newClient(t)
	now := time.Now()
	c.robots.now = func() time.Time { return now }
	for range 3 {
		wantAllowed(t, c, s.URL+"/add", true)
		wantAllowed(t, c, s.URL+"/private/x", false)
	}
	if hits.Load() != 1 {
		t.Errorf("robots.txt was read %d times, want once", hits.Load())
	}
	now = now.Add(robotsAge)
	wantAllowed(t, c, s.URL+"/add", true)
	if hits.Load() != 2 {
		t.Errorf("robots.txt was read %d times, want again after an hour", hits.Load())
	}
}

func TestAllowedByWhatTheHostAnswers(t *testing.T) {
	for status, want := range map[int]struct{ allowed, fault bool }{
		200: {false, false}, 404: {true, false}, 403: {true, false}, 410: {true, false},
		500: {false, true}, 503: {false, true}, 429: {false, true},
	} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(status)
			fmt.Fprint(w, "User-agent: *\nDisallow: /\n")
		})
		allowed, err := newClient(t).Allowed(t.Context(), s.URL+"/add")
		var fault *RobotsError
		if allowed != want.allowed || errors.As(err, &fault) != want.fault {
			t.Errorf("%d: Allowed = %t, %v", status, allowed, err)
		}
		if want.fault && fault.RetryAfter != 90*time.Second {
			t.Errorf("%d: RetryAfter = %v", status, fault.RetryAfter)
		}
	}
}

func TestAllowedIsNoWhenTheHostCannotBeReached(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	s.Close()
	allowed, err := newClient(t).Allowed(t.Context(), s.URL+"/add")
	if allowed || err == nil {
		t.Errorf("Allowed = %t, %v, want an error", allowed, err)
	}
}

func TestRobotsReadsNoMoreThanItsLimit(t *testing.T) {
	file := "User-agent: *\n" + strings.Repeat("#\n", robotsMax/2) + "Disallow: /\n"
	if !parseRobots([]byte(file), "directorybolt").allow("/add") {
		t.Error("a rule after the limit counted")
	}
}

func TestRobotsRemembersABoundedNumberOfHosts(t *testing.T) {
	r := newRobots()
	for i := range 3 * robotsCached {
		r.put(fmt.Sprint("https://host", i), nil)
	}
	if n := len(r.known); n != robotsCached {
		t.Errorf("%d origins are remembered, want %d", n, robotsCached)
	}
}

func FuzzParseRobots(f *testing.F) {
	f.Add([]byte("User-agent: *\nDisallow: /a*b$\nAllow: /%zz"), "/axxb")
	f.Fuzz(func(t *testing.T, file []byte, path string) {
		file = file[:min(len(file), robotsMax/2)]
		got := parseRobots(file, "directorybolt").allow(path)
		more := append(bytes.Clone(file), "\nAllow:\nUser-agent: otherbot\nDisallow: /\n"...)
		if again := parseRobots(more, "directorybolt").allow(path); again != got {
			t.Errorf("a group of another robot turned %t into %t", got, again)
		}
	})
}

func wantAllowed(t *testing.T, c *Client, u string, want bool) {
	t.Helper()
	got, err := c.Allowed(t.Context(), u)
	if err != nil || got != want {
		t.Errorf("Allowed(%s) = %t, %v, want %t", u, got, err, want)
	}
}
