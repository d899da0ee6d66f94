package dbtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func one[T any](t testing.TB, conn *pgx.Conn, sql string) (v T) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func TestPostgresGivesEachCallAnEmptyDatabaseOfItsOwn(t *testing.T) {
	a, b := Postgres(t), Postgres(t)
	Exec(t, a, "CREATE TABLE only_here (x int)")
	if !one[bool](t, connect(t, a), "SELECT to_regclass('only_here') IS NOT NULL") {
		t.Error("the table is not where it was made")
	}
	if one[bool](t, connect(t, b), "SELECT to_regclass('only_here') IS NOT NULL") {
		t.Error("the table shows in another database")
	}
}

func TestPgBouncerPoolsAsItsModeSays(t *testing.T) {
	for mode, want := range map[string]bool{"session": false, "transaction": true} {
		t.Run(mode, func(t *testing.T) {
			url := PgBouncer(t, Postgres(t), mode)
			a, b := connect(t, url), connect(t, url)
			same := one[int](t, a, "SELECT pg_backend_pid()") == one[int](t, b, "SELECT pg_backend_pid()")
			if same != want {
				t.Errorf("two open clients share a backend: got %t, want %t", same, want)
			}
		})
	}
}

func TestClusterComesBackWithWhatWasCommitted(t *testing.T) {
	c := NewCluster(t)
	url := c.URL("postgres")
	Exec(t, url, "CREATE TABLE kept AS SELECT 1 AS x")
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := ping(url); err == nil {
		t.Fatal("a killed cluster answers")
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	if got := one[int](t, connect(t, url), "SELECT x FROM kept"); got != 1 {
		t.Errorf("got %d, want 1", got)
	}
}

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if os.Getenv("DBTEST_VICTIM") == "" {
		os.Exit(m.Run())
	}
	c, err := StartCluster()
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString(c.Dir() + "\n" + c.URL("postgres") + "\n")
	select {}
}

func TestKilledProcessLeavesNothingBehind(t *testing.T) {
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), "DBTEST_VICTIM=1")
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := out.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	dir, url, _ := strings.Cut(strings.TrimSpace(string(buf[:n])), "\n")
	if err := ping(url); err != nil {
		t.Fatal(err)
	}
	if err := victim.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait()
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(20 * time.Millisecond) {
		_, gone := os.Stat(dir)
		if os.IsNotExist(gone) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there", dir)
		}
	}
	if err := ping(url); err == nil {
		t.Error("the server of a killed process still answers")
	}
}

func TestTestpgHandsTheCommandItsDatabaseAndItsStatus(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "testpg")
	if out, err := exec.Command("go", "build", "-o", bin, "./cmd/testpg").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(bin, "--", "sh", "-c", `echo "$`+EnvURL+`"; exit 7`).Output()
	if status, _ := exitCode(err); status != 7 {
		t.Fatalf("got %v, want exit status 7", err)
	}
	url := strings.TrimSpace(string(out))
	if !strings.HasPrefix(url, "postgres://") {
		t.Fatalf("got %q, want a URL", url)
	}
	if err := ping(url); err == nil {
		t.Error("the server outlived the command")
	}
}

func exitCode(err error) (int, bool) {
	exit, ok := err.(*exec.ExitError)
	if !ok {
		return 0, false
	}
	return exit.ExitCode(), true
}
