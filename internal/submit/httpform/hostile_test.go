//go:build unix

package httpform

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// TestHostilePagesAreReadInBoundedTime feeds large pages that aim at what is
// quadratic in naive readers. Each takes a fraction of a second of processor time;
// a reader that is quadratic takes minutes. The clock on the wall, which other
// processes slow down, has no say.
func TestHostilePagesAreReadInBoundedTime(t *testing.T) {
	const size = 1 << 18
	fill := func(head, part, tail string) string {
		return head + strings.Repeat(part, (size-len(head)-len(tail))/len(part)) + tail
	}
	for name, page := range map[string]string{
		"controls":                 fill("<form method=post>", "<input name=a>", "</form>"),
		"orphans":                  fill("<form></form><div>", "<input name=a form=x aria-labelledby=x>", ""),
		"labels":                   fill("<form method=post><label id=x>Name ", "<input aria-labelledby='x x x'>", ""),
		"nested labels":            "<form>" + strings.Repeat("<label>", 400) + fill("", "word ", "<input name=a>"),
		"nested blocks":            "<form>" + strings.Repeat("<h1 class=error><span>", 200) + fill("", "word ", "<input name=a>"),
		"forms":                    fill("", "<form><input name=n><textarea name=t></textarea></form>", ""),
		"styles":                   "<style>" + strings.Repeat("* * * * .a, div:has(div:has(b)), .x .y{display:none}", 3000) + "</style>" + strings.Repeat("<div class=x>", 300) + fill("", "<b class=y>", ""),
		"options":                  fill("<form><select name=a>", "<option>x", "</select></form>"),
		"radios":                   fill("<form>", "<input type=radio name=a checked>", "</form>"),
		"errors":                   fill("", "<p class=error>a</p>", ""),
		"braces":                   fill("<style>", "{", ""),
		"just few enough controls": "<form method=post>" + strings.Repeat("<label>Choose your plan<input type=radio name=a></label><br><input name=b>", maxControls/2-1) + "</form>",
		"just few enough options":  "<form method=post>" + strings.Repeat("<label>Category <select name=a>"+strings.Repeat("<option value=1>x", 99)+"</select></label>", maxOptions/100) + "</form>",
		"just few enough forms":    strings.Repeat("<form method=post>"+strings.Repeat("<input name=business_name>", maxControls/maxForms-1)+"</form>", maxForms),
		"captcha images":           fill("", "<img src=captcha>", ""),
	} {
		began := cpuTime(t)
		v := htmlPage(t, page)
		f, err := v.pick(directory.Step{})
		if err == nil {
			f.captcha()
			_ = filler{form: f, directory: &directory.Directory{}, business: acme(t)}.fill(directory.Step{}, true)
			_, _ = f.effect(nil)
		}
		v.complaint(htmlPage(t, ""))
		v.challenge()
		if took := cpuTime(t) - began; took > 30*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
