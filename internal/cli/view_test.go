package cli

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

func TestLiveViewRedrawsInPlaceAndNeverWiderThanTheScreen(t *testing.T) {
	var out bytes.Buffer
	const width = 60
	v := &liveView{w: &out, title: "starter order for Somebody With A Name That Does Not Fit On Any Screen",
		screen: terminal{live: true, color: true, width: func() int { return width }}}
	l := look{job: job.Job{Quota: 50, State: job.InProgress}, elapsed: time.Second}
	for i := range 50 {
		s := directory.Submission{ID: job.NewID(), Directory: "a-directory-with-a-long-name", State: directory.Planned}
		if i%3 == 0 {
			s.State, s.ListingURL = directory.Submitted, "http://127.0.0.1:9100/listing/"+strings.Repeat("long", 20)
			l.news = append(l.news, s)
		}
		l.subs = append(l.subs, s)
	}
	v.show(l)
	first := out.String()
	out.Reset()
	l.news, l.note = nil, "waits until 12:00:00"
	v.show(l)
	second := out.String()

	rows := strings.Count(first, "\n")
	if up := regexp.MustCompile(`^\x1b\[(\d+)A`).FindStringSubmatch(second); up == nil || up[1] != "11" || rows != 11 {
		t.Errorf("drew %d rows, then went up %q; want 11", rows, up)
	}
	for line := range strings.Lines(regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]|\r`).ReplaceAllString(first+second, "")) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n >= width {
			t.Errorf("%d columns of %d: %q", n, width, line)
		}
	}
	if !strings.Contains(second, "waits until 12:00:00") || !strings.Contains(second, "17 of 50") {
		t.Errorf("the second picture lacks the note or the count:\n%s", second)
	}
}

func TestLineViewSaysEachOutcomeOnce(t *testing.T) {
	var out bytes.Buffer
	v := &lineView{w: &out}
	done := directory.Submission{ID: job.NewID(), Directory: "acme", State: directory.NeedsAction, Need: "captcha", UpdatedAt: time.Now()}
	l := look{job: job.Job{Quota: 1}, subs: []directory.Submission{done}, news: []directory.Submission{done}, note: "waits until 12:00:00"}
	v.show(l)
	l.news = nil
	v.show(l)
	if got := strings.Count(out.String(), "acme"); got != 1 {
		t.Errorf("acme is named %d times in:\n%s", got, out.String())
	}
	if got := strings.Count(out.String(), "waits until"); got != 1 {
		t.Errorf("the wait is named %d times in:\n%s", got, out.String())
	}
}

func TestWhatADirectoryAnsweredCannotMoveTheCursor(t *testing.T) {
	var out bytes.Buffer
	if err := table(&out, []string{"A", "B"}, [][]string{{"x\x1b[2Jy", "line\nbreak\ttab\u202e"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "A      B\nx[2Jy  line break tab\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
