package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/jackc/pgx/v5"
)

func TestManyChangesAreFewNotifications(t *testing.T) {
	const changes = 300
	url := migrated(t)
	s := open(t, direct(url))
	listener, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close(context.WithoutCancel(t.Context()))
	if _, err := listener.Exec(t.Context(), "LISTEN directorybolt_jobs"); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for range changes {
		enqueue(t, s, job.Spec{Kind: job.KindNoop})
	}
	marked := number[time.Time](t, url, "SELECT clock_timestamp()")
	heard := 0
	for wait := 2 * time.Second; ; wait = 200 * time.Millisecond {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		_, err := listener.WaitForNotification(ctx)
		cancel()
		if err != nil {
			break
		}
		heard++
	}
	most := int(marked.Sub(begun)/postgres.RingPause) + 3
	if heard == 0 || heard > most || heard >= changes {
		t.Errorf("%d changes were %d notifications, want at least 1 and at most %d", changes, heard, most)
	}
}

// The last change is never the one that nobody is told about.
func TestTheLastChangeIsNotified(t *testing.T) {
	url := migrated(t)
	s, other := open(t, direct(url)), open(t, direct(url))
	worker := register(t, other)
	woken := other.Wake(t.Context())
	for range 20 {
		for range 5 {
			enqueue(t, s, job.Spec{Kind: job.KindNoop})
		}
		for left := 5; left > 0; {
			left -= len(claimNoops(t, other, worker, 10))
			if left == 0 {
				break
			}
			select {
			case <-woken:
			case <-time.After(patience):
				t.Fatalf("%d jobs wait and nobody was woken", left)
			}
		}
	}
}
