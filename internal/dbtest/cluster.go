package dbtest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/pgcluster"
	"github.com/jackc/pgx/v5"
)

// startTimeout bounds the start and the stop of a server on a busy machine.
const startTimeout = 60 * time.Second

// Cluster is a throwaway Postgres server of its own; see [pgcluster.Cluster].
type Cluster = pgcluster.Cluster

// NewCluster starts a cluster that ends with the test, for tests that stop,
// restart or kill the database. Others use [Postgres].
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	c, err := StartCluster()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// StartCluster makes and starts a cluster, installing Postgres first where that is
// allowed. Close ends it; so does the end of this process.
func StartCluster() (*Cluster, error) { return pgcluster.Start(pgcluster.Config{Install: install}) }

// CreateDatabase makes a database like the one named template and returns its URL.
// The superuser's URL may name any other database of the cluster.
func CreateDatabase(ctx context.Context, superuserURL, template string) (url string, drop func() error, err error) {
	name := fmt.Sprintf("t%d_%d_%d", os.Getpid(), time.Now().UnixNano(), databases.next())
	if err := execute(ctx, superuserURL, "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		return "", nil, fmt.Errorf("create test database: %w", err)
	}
	drop = func() error {
		return execute(context.WithoutCancel(ctx), superuserURL, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	}
	url, err = withDatabase(superuserURL, name)
	return url, drop, err
}

// counter tells databases of one nanosecond apart.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}

var databases counter

func ping(url string) error { return execute(context.Background(), url, "SELECT 1") }

func execute(ctx context.Context, url, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}
