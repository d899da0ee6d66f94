package store_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/store"
)

// taking is what breaks a release that still runs: it takes away what that reads or
// writes, or asks of it what it does not know.
var taking = map[string]*regexp.Regexp{
	"takes a table away":                      regexp.MustCompile(`(?i)\bDROP\s+(TABLE|VIEW|FUNCTION|TYPE|SEQUENCE)\b`),
	"takes a column away":                     regexp.MustCompile(`(?i)\bDROP\s+COLUMN\b`),
	"renames":                                 regexp.MustCompile(`(?i)\bRENAME\b`),
	"changes the type of a column":            regexp.MustCompile(`(?i)\bALTER\s+(COLUMN\s+)?\w+\s+(SET\s+DATA\s+)?TYPE\b`),
	"asks for a value that nobody gives yet":  regexp.MustCompile(`(?i)\bSET\s+NOT\s+NULL\b`),
	"takes a default away":                    regexp.MustCompile(`(?i)\bDROP\s+DEFAULT\b`),
	"adds a column that nobody fills yet":     regexp.MustCompile(`(?im)\bADD\s+(COLUMN\s+)?\w+\s+\w+[^,;]*\bNOT\s+NULL\b[^,;]*`),
	"adds a rule that old rows may break":     regexp.MustCompile(`(?i)\bADD\s+CONSTRAINT\b`),
	"locks a table for as long as it is read": regexp.MustCompile(`(?i)\b(VACUUM\s+FULL|CLUSTER|REINDEX)\b`),
}

// contract is the line with which a migration says that it is the second half: since
// which release nobody needs what it takes.
var contract = regexp.MustCompile(`(?m)^-- contract: \S.{20,}$`)

// TestMigrationsExpandOrSayThatTheyContract holds the rule of docs/deployment.md: the
// release before runs on the schema of this one.
func TestMigrationsExpandOrSayThatTheyContract(t *testing.T) {
	for _, d := range []store.Dialect{store.Postgres, store.SQLite} {
		for _, name := range fileNames(t, filepath.Join(string(d), "migrations")) {
			body, err := os.ReadFile(filepath.Join(string(d), "migrations", name))
			if err != nil {
				t.Fatal(err)
			}
			// The first sixteen were there before anybody was to be kept waiting.
			if d == store.Postgres && name > "0017" && !strings.Contains(string(body), "SET LOCAL lock_timeout = '3s';") {
				t.Errorf("%s, %s: whoever uses a table that it waits for stops everybody else; begin with SET LOCAL lock_timeout = '3s';", d, name)
			}
			for _, fault := range contracts(string(body)) {
				t.Errorf("%s, %s: it %s, and the release before runs beside it; do so a release later, with a line \"-- contract: why nobody needs it, since which release\"", d, name, fault)
			}
		}
	}
}

// contracts lists what a migration takes away without saying why it may.
func contracts(sql string) (faults []string) {
	if contract.MatchString(sql) {
		return nil
	}
	code := regexp.MustCompile(`(?m)--.*$`).ReplaceAllString(sql, "")
	for what, pattern := range taking {
		for _, found := range pattern.FindAllString(code, -1) {
			if !strings.Contains(strings.ToUpper(found), " DEFAULT ") {
				faults = append(faults, what)
			}
		}
	}
	return faults
}

func TestTheRuleOfMigrationsFindsWhatTakes(t *testing.T) {
	for sql, want := range map[string]int{
		"ALTER TABLE jobs DROP COLUMN cause;":                                                       1,
		"DROP TABLE jobs;":                                                                          1,
		"ALTER TABLE jobs RENAME COLUMN cause TO reason;":                                           1,
		"ALTER TABLE jobs ALTER COLUMN cause TYPE bytea;":                                           1,
		"ALTER TABLE jobs ALTER COLUMN cause SET NOT NULL;":                                         1,
		"ALTER TABLE jobs ADD COLUMN more text NOT NULL;":                                           1,
		"ALTER TABLE jobs ADD COLUMN more text NOT NULL DEFAULT '';":                                0,
		"ALTER TABLE jobs ADD COLUMN more text;":                                                    0,
		"CREATE TABLE more (id uuid NOT NULL, rank integer NOT NULL);":                              0,
		"DROP INDEX jobs_for_claim;":                                                                0,
		"-- DROP TABLE jobs is what we do not\nSELECT 1;":                                           0,
		"-- contract: unread since v1.4, unwritten since v1.3\nALTER TABLE jobs DROP COLUMN cause;": 0,
	} {
		if got := contracts(sql); len(got) != want {
			t.Errorf("%s: found %q, want %d", sql, got, want)
		}
	}
}
