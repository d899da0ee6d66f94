package store_test

import (
	"io/fs"
	"os"
	"path"
	"testing"

	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/google/go-cmp/cmp"
)

// oneSided lists the statements that only one dialect needs, with the reason.
var oneSided = map[string]string{
	"AddJournal":         "Postgres enters an act in the statement that does it",
	"AddLetter":          "Postgres leaves a letter in the statement that fails the job",
	"DecidableLetter":    "Postgres looks at the letter inside RedriveLetters",
	"KnownMessage":       "Postgres knows by xmax inside KeepMessage",
	"RedriveJob":         "Postgres moves the job in RedriveLetters",
	"WarnedLetters":      "Postgres asks inside CloseWarnings",
	"UnsettledLetters":   "SQLite looks before it takes the one write lock",
	"AddHints":           "SQLite adds them with AddMessages",
	"AddMessages":        "Postgres adds messages in the statement that changes the job",
	"AdmitRequests":      "SQLite reads the log, ratelimit.Log decides, and it is written",
	"ArchiveJobs":        "Postgres archives in PruneJobs",
	"ClaimGuard":         "Postgres asks about the worker and the pauses inside the claims",
	"DropFolded":         "Postgres deletes what it folds in FoldRollups",
	"DueJobs":            "Postgres is woken by NOTIFY, SQLite looks whether a commit was of interest",
	"EnqueueJob":         "SQLite's EnqueueJobs is as plain, and repeated for many",
	"HoldLifeline":       "SQLite locks a file",
	"OpenStorm":          "Postgres opens it in TurnBreaker",
	"TallyWorkers":       "Postgres counts them where it judges",
	"ValueInStorm":       "Postgres sums it in TurnBreaker",
	"Neighbours":         "SQLite looks at the files of all workers",
	"ForgetFinding":      "Postgres forgets in NoteFindings",
	"LeasedJob":          "SQLite has read the job, with its lease, before it writes: RunningJob",
	"EndOldSessions":     "Postgres ends them in AddSession",
	"EndSessionsOfKey":   "Postgres ends them in RevokeKey",
	"ListJobsOfCustomer": "SQLite plans a statement once, for all its filters",
	"LockAlerts":         "SQLite has one writer at a time anyway",
	"PrunableJobs":       "Postgres finds them in PruneJobs",
	"PruneJobEvents":     "Postgres forgets them in PruneJobs",
	"RecordPlan":         "Postgres writes the job's row in PlanSubmissions",
	"ReadRateLimit":      "Postgres does it all in AdmitRequests",
	"WriteRateLimit":     "Postgres does it all in AdmitRequests",
	"StalledJobs":        "Postgres finds them in RecoverStalledJobs",
	"RunningJob":         "Postgres locks the row inside each statement",
}

func TestBothDialectsHaveTheSameMigrations(t *testing.T) {
	postgres, sqlite := fileNames(t, "postgres/migrations"), fileNames(t, "sqlite/migrations")
	if diff := cmp.Diff(postgres, sqlite); diff != "" {
		t.Errorf("migrations (-postgres +sqlite):\n%s", diff)
	}
	for _, d := range []store.Dialect{store.Postgres, store.SQLite} {
		if _, err := store.NewMigrator(d, nil, os.DirFS(path.Join(string(d), "migrations")), nil); err != nil {
			t.Error(err)
		}
	}
}

func TestBothDialectsHaveTheSameStatements(t *testing.T) {
	postgres, sqlite := statementFiles(t, "postgres/queries"), statementFiles(t, "sqlite/queries")
	for name, why := range oneSided {
		_, p := postgres[name]
		_, s := sqlite[name]
		if p == s || why == "" {
			t.Errorf("%s is listed as one-sided: in postgres %v, in sqlite %v, because %q", name, p, s, why)
		}
		delete(postgres, name)
		delete(sqlite, name)
	}
	if diff := cmp.Diff(postgres, sqlite); diff != "" {
		t.Errorf("statements and their files (-postgres +sqlite):\n%s", diff)
	}
}

func fileNames(t *testing.T, dir string) []string {
	t.Helper()
	names, err := fs.Glob(os.DirFS(dir), "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("no .sql files in %s: %v", dir, err)
	}
	return names
}

func statementFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	fileNames(t, dir)
	s, err := store.ReadStatements(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range s.Names() {
		files[name] = s.File(name)
	}
	return files
}
