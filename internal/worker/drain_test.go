package worker

import (
	"context"
	"testing"

	"github.com/directorybolt/directorybolt/internal/job"
)

// TestADrainGivesWhatHasNotBegunBackAtOnce drains a pool whose one slot is taken for
// long: a job that it claimed ahead is there for others before that ends.
func TestADrainGivesWhatHasNotBegunBackAtOnce(t *testing.T) {
	s := newStore(t)
	begun, letGo := make(chan struct{}), make(chan struct{})
	cfg := quick(s, noop(func(context.Context, job.Attempt) error {
		close(begun)
		<-letGo
		return nil
	}))
	cfg.Concurrency, cfg.Prefetch = 1, 1
	pool, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, drain := context.WithCancel(t.Context())
	defer drain()
	left := make(chan error, 1)
	go func() { left <- pool.Run(ctx) }()
	running := enqueue(t, s, job.Spec{})
	<-begun
	tenure := pool.serving.Load()
	ahead := enqueue(t, s, job.Spec{})
	if n, err := tenure.claim(t.Context(), job.ClaimRequest{Worker: tenure.id, Limit: 1, Kinds: []string{job.KindNoop}}); err != nil || n != 1 {
		t.Fatalf("claimed %d ahead, error %v", n, err)
	}

	drain()
	j := awaitJob(t, s, ahead, "given back", inState(job.Pending))
	if j.Attempt != 0 || j.Crashes != 0 {
		t.Errorf("the job given back has attempt %d, crashes %d", j.Attempt, j.Crashes)
	}
	if j, err := s.Job(t.Context(), running); err != nil || j.State != job.InProgress {
		t.Errorf("the running job is %s, error %v", j.State, err)
	}
	close(letGo)
	if err := <-left; err != nil {
		t.Error(err)
	}
	awaitJob(t, s, running, "completed", inState(job.Completed))
	if j, err := s.Job(t.Context(), ahead); err != nil || j.State != job.Pending || j.Crashes != 0 {
		t.Errorf("afterwards the job given back is %s, crashes %d, error %v", j.State, j.Crashes, err)
	}
}
