package dbtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
)

// EnvURL names the environment variable that holds a superuser's URL of a
// cluster to use instead of starting one.
const EnvURL = "DIRECTORYBOLT_TEST_PG"

// shared is the cluster of this process. Its guard ends it with the process.
var shared = sync.OnceValues(func() (string, error) {
	if url := os.Getenv(EnvURL); url != "" {
		if err := ping(url); err != nil {
			return "", fmt.Errorf("%s names a Postgres that does not answer: %w", EnvURL, err)
		}
		return url, nil
	}
	c, err := StartCluster()
	if err != nil {
		return "", err
	}
	return c.URL("postgres"), nil
})

// Superuser returns the superuser's URL of the cluster that [Postgres] uses.
// Roles that a test makes there are shared by all tests.
func Superuser(t testing.TB) string {
	t.Helper()
	url, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// Postgres returns the URL of a fresh, empty database. It is dropped with the test.
func Postgres(t testing.TB) string {
	t.Helper()
	return fresh(t, "template1")
}

// Template makes databases that are copies of one which prepare filled, once in
// this process: a copy takes a fraction of the time of the migrations.
func Template(prepare func(url string) error) func(testing.TB) string {
	name := sync.OnceValues(func() (string, error) {
		super, err := shared()
		if err != nil {
			return "", err
		}
		made, _, err := CreateDatabase(context.Background(), super, "template1")
		if err != nil {
			return "", err
		}
		u, err := url.Parse(made)
		if err != nil {
			return "", err
		}
		return strings.TrimPrefix(u.Path, "/"), prepare(made)
	})
	return func(t testing.TB) string {
		t.Helper()
		template, err := name()
		if err != nil {
			t.Fatal(err)
		}
		return fresh(t, template)
	}
}

func fresh(t testing.TB, template string) string {
	t.Helper()
	url, drop, err := CreateDatabase(context.Background(), Superuser(t), template)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drop(); err != nil {
			t.Errorf("drop test database: %v", err)
		}
	})
	return url
}

// Exec runs plain SQL, as one simple query, on the database of the URL.
func Exec(t testing.TB, url, sql string) {
	t.Helper()
	if err := execute(context.Background(), url, sql); err != nil {
		t.Fatalf("execute %.200q: %v", sql, err)
	}
}

func withDatabase(raw, name string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("%s is no URL", EnvURL)
	}
	u.Path = "/" + name
	return u.String(), nil
}
