package deadletter

import (
	"errors"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue/sqstest"
)

func TestMessagesWithoutAJobAreMovedBack(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	s := sqstest.Can(t, func(e sqstest.Emulator) bool { return e.Moves })[0].Start(t)
	q := s.Pair(1)
	dlq := letters(t, s.Endpoint, q.DLQ)
	source := client(t, s.Endpoint).Queue(q.URL)
	s.Put(q.URL, "order 5")
	s.Put(q.URL, "order 6")
	eventually(t, "the queue to give up on them", func() bool {
		_, err := source.Receive(t.Context(), 10, time.Second, time.Second)
		w.must(err)
		return s.Left(q.DLQ) == 2
	})
	move := Move{Store: w, Queue: dlq, By: staff, Poll: 10 * time.Millisecond, Log: quiet}

	// One that names a job is in the way: a move would take it too.
	id := w.die(1, "no")[0]
	w.check(w.monitor(dlq))
	if _, err := move.Run(t.Context()); !errors.Is(err, ErrNamesJobs) || s.Left(q.DLQ) != 3 {
		t.Fatalf("error %v with %d messages left, want a refusal and 3", err, s.Left(q.DLQ))
	}
	w.redrive(id)
	w.fine()
	moved, err := move.Run(t.Context())
	if err != nil || moved != 2 || s.Left(q.DLQ) != 0 {
		t.Fatalf("moved %d, error %v, %d left; want 2 and none", moved, err, s.Left(q.DLQ))
	}
	all, err := w.Letters(t.Context(), job.LetterFilter{Decided: true})
	w.must(err)
	for _, l := range all {
		if l.JobID == (job.ID{}) && (l.Fate != job.FateMoved || l.By != staff || len(l.Body) == 0) {
			t.Errorf("letter of a moved message: %+v", l)
		}
	}
	if moved, err := move.Run(t.Context()); moved != 0 || err != nil {
		t.Errorf("a move of nothing: %d, error %v", moved, err)
	}
}
