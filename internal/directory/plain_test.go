package directory

import (
	"strings"
	"testing"
)

func TestTextsOfAProfileLeaveWithoutMarkup(t *testing.T) {
	for in, want := range map[string]string{
		"We bake <b>bread</b>.":                            "We bake bread.",
		"Bread<script>alert(1)</script> & cake":            "Bread & cake",
		"<style>p{}</style>Bread<!-- <b> -->":              "Bread",
		"<img src=x onerror=alert(1)>Bread":                "Bread",
		"<scr<script>x</script>ipt>alert(1)</script>Bread": "xipt>alert(1)Bread",
		"3 < 4 & 5 > 2, as they say":                       "3 < 4 & 5 > 2, as they say",
		"<3 bread &lt;3":                                   "<3 bread &lt;3",
		"Bread <unfinished":                                "Bread",
		"line\nline":                                       "line\nline",
	} {
		b := Business{Name: in, Description: in, ShortDescription: in, Tagline: in}
		for _, key := range []string{"name", "description", "short_description", "tagline"} {
			if got, _ := b.Value(key); got != want {
				t.Errorf("%s of %q is %q, want %q", key, in, got, want)
			}
		}
	}
}

func FuzzNoTagIsLeftInAText(f *testing.F) {
	for _, s := range []string{"<b>", "<<b>>", "<scr<b>ipt>", "<!--<b>-->", "<a", "</b", "<![CDATA[<b>]]>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := plainText(s)
		if again := plainText(got); again != got {
			t.Errorf("%q became %q, and then %q", s, got, again)
		}
		for _, tag := range []string{"<script", "</script", "<b>", "<img"} {
			if strings.Contains(strings.ToLower(got), tag) {
				t.Errorf("%q became %q", s, got)
			}
		}
	})
}
