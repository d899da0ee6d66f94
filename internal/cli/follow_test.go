package cli

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// scripted answers each look with the next entry; the last one stays.
type scripted struct {
	looks []answer
	asked int
}

type answer struct {
	state job.State
	back  string // why the job was given back
	fence int64
	err   error
	subs  []directory.Submission
}

func (s *scripted) now() answer { return s.looks[min(s.asked, len(s.looks)-1)] }

func (s *scripted) Job(context.Context, job.ID) (job.Job, error) {
	a := s.now()
	if a.err != nil {
		s.asked++
	}
	return job.Job{State: a.state, Fence: a.fence, Quota: 1, Cause: "the worker was lost"}, a.err
}

func (s *scripted) Submissions(context.Context, job.ID) ([]directory.Submission, error) {
	a := s.now()
	s.asked++
	return a.subs, nil
}

func (s *scripted) History(context.Context, job.ID) ([]job.Event, error) {
	back := s.looks[s.asked-1].back // the look has gone past its submissions
	events := []job.Event{{To: "pending"}, {To: "in_progress"}, {To: "pending", Cause: back}}
	return append(events, job.Event{Type: "write.fenced", Cause: "another story"}), nil
}

func TestFollowTellsWhyAnOrderWaitsNotWhatHappenedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := &scripted{looks: []answer{
			{state: job.Pending, fence: 2, back: "a retry of acme"},
			{state: job.Pending, fence: 3, back: "the daily cap of beta"},
			{state: job.Completed, fence: 4},
		}}
		if _, err := follow(t.Context(), &lineView{w: &out}, s, job.NewID()); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"a retry of acme", "the daily cap of beta"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is not told in:\n%s", want, out.String())
			}
		}
		if strings.Contains(out.String(), "the worker was lost") {
			t.Errorf("an old failure is told as the reason in:\n%s", out.String())
		}
	})
}

func TestFollowOutlastsAStoreThatIsAwayForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		sub := directory.Submission{ID: job.NewID(), Directory: "acme", State: directory.Planned}
		done := sub
		done.State = directory.Submitted
		away := answer{err: errors.New("the database is starting up")}
		s := &scripted{looks: []answer{
			{state: job.InProgress, subs: []directory.Submission{sub}},
			away, away, away,
			{state: job.Completed, subs: []directory.Submission{done}},
		}}
		r, err := follow(t.Context(), &lineView{w: &out}, s, job.NewID())
		if err != nil || r.Job.State != job.Completed || !r.Balanced {
			t.Fatalf("report %+v, error %v", r, err)
		}
		if n := strings.Count(out.String(), "the database is starting up"); n != 1 {
			t.Errorf("the outage is told %d times in:\n%s", n, out.String())
		}
		if n := strings.Count(out.String(), "acme"); n != 1 {
			t.Errorf("the outcome is told %d times in:\n%s", n, out.String())
		}
	})
}

func TestFollowGivesUpOnAStoreThatStaysAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone, began := errors.New("connection refused"), time.Now()
		_, err := follow(t.Context(), noView{}, &scripted{looks: []answer{{err: gone}}}, job.NewID())
		if !errors.Is(err, gone) {
			t.Errorf("error %v, want %v", err, gone)
		}
		if took := time.Since(began); took < followAway || took > followAway+time.Second {
			t.Errorf("gave up after %s, want %s", took, followAway)
		}
	})
}

func TestFollowOfAnOrderThatIsNotThereEndsAtOnce(t *testing.T) {
	_, err := follow(t.Context(), noView{}, &scripted{looks: []answer{{err: job.ErrNotFound}}}, job.NewID())
	if statusOf(err) != ExitNotFound {
		t.Errorf("error %v has status %d, want %d", err, statusOf(err), ExitNotFound)
	}
}
