package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFileValuesAreReadAsWritten(t *testing.T) {
	for line, want := range map[string]string{
		`K=v`:                  "v",
		`  export K = v w  `:   "v w",
		`K=a#b`:                "a#b",
		`K=a # b`:              "a",
		`K=#b`:                 "",
		`K=`:                   "",
		`K='a "b" \n # c' # d`: `a "b" \n # c`,
		`K="a \"b\" \\ \$x\n"`: "a \"b\" \\ $x\n",
		`K="\q"`:               `\q`,
		`K=a=b`:                "a=b",
		"\ufeffK=v\r":          "v",
	} {
		entries, faults := parseFile(line)
		if len(faults) > 0 || len(entries) != 1 || entries[0].value != want || entries[0].key != "K" {
			t.Errorf("%q: got %+v, faults %q, want %q", line, entries, faults, want)
		}
	}
}

func TestFileFaultsNameTheirLine(t *testing.T) {
	_, got := parseFile("A=1\n\n=2\nB C=3\n9D=4\nE='5\nF=\"6\"7\nA=8\nG\n")
	want := []string{
		"3: want a line KEY=VALUE", "4: want a line KEY=VALUE", "5: want a line KEY=VALUE",
		"6: E: the quote is not closed on this line", "7: F: something follows the closing quote",
		"8: A stands on line 1 already", "9: want a line KEY=VALUE",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func FuzzFileNeverRepeatsAValueInAFault(f *testing.F) {
	f.Add("A='%s\nB=%s\n%s\nA=\"%s")
	f.Fuzz(func(t *testing.T, text string) {
		const secret = "s3cr3t-value"
		entries, faults := parseFile(strings.ReplaceAll(text, "%s", secret))
		for _, e := range entries {
			if !isName(e.key) || e.line < 1 {
				t.Errorf("entry %+v", e)
			}
		}
		for _, fault := range faults {
			if strings.Contains(fault, secret) {
				t.Errorf("fault %q", fault)
			}
		}
	})
}
