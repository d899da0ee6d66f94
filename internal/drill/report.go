package drill

import (
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// Report is what a drill found.
type Report struct {
	Drill      string         `json:"drill"`
	Own        bool           `json:"own"`                    // on a stack that the drill started itself
	OK         bool           `json:"ok"`                     // every promise held
	Detection  time.Duration  `json:"detection_ns,omitempty"` // fault to noticed; zero: nothing to notice
	Recovery   time.Duration  `json:"recovery_ns,omitempty"`  // fault to the next attempt started, or to the same one going on
	Detector   job.Detector   `json:"detector,omitempty"`     // which found it
	Cause      string         `json:"cause,omitempty"`        // as the history has it
	Worker     job.ID         `json:"worker_id,omitzero"`     // that was struck
	NextWorker job.ID         `json:"next_worker_id,omitzero"`
	Canaries   []CanaryReport `json:"canaries"`
	Lost       int            `json:"lost"`    // effects that never arrived
	Doubled    int            `json:"doubled"` // effects that arrived more than once
	StaleWrite StaleWrite     `json:"stale_write"`
	Broken     []string       `json:"broken,omitempty"` // the promises that did not hold
	Steps      []Step         `json:"steps"`
}

// CanaryReport is what became of one canary.
type CanaryReport struct {
	JobID    job.ID         `json:"job_id"`
	State    job.State      `json:"state"`
	Quota    int            `json:"quota"`
	Arrivals map[string]int `json:"arrivals"` // by directory, as the witness counted; 1 is right
}

// StaleWrite tells of writes under the lease that was lost.
type StaleWrite struct {
	ByWorker int  `json:"by_worker"` // tried by the struck worker itself, and refused
	Tried    bool `json:"tried"`     // by the drill in its name
	Refused  bool `json:"refused"`
}

func (d *drill) broke(format string, args ...any) {
	d.report.Broken = append(d.report.Broken, fmt.Sprintf(format, args...))
}

// judge holds what happened against the promises.
func (d *drill) judge() {
	for i := range d.report.Canaries {
		if err := d.weigh(&d.report.Canaries[i]); err != nil {
			d.broke("canary %s cannot be read: %v", d.report.Canaries[i].JobID, err)
		}
	}
	if d.Scenario.lives {
		if err := d.sparedTheLiving(); err != nil {
			d.broke("the workers cannot be listed: %v", err)
		}
	} else if err := d.tryStaleWrite(); err != nil {
		d.broke("the store was asked for a stale write and answered: %v", err)
	}
	d.report.OK = len(d.report.Broken) == 0
}

// weigh counts what arrived of a canary, and holds its books against it.
func (d *drill) weigh(c *CanaryReport) error {
	j, err := d.Store.Job(d.ctx, c.JobID)
	if err != nil {
		return err
	}
	subs, err := d.Store.Submissions(d.ctx, c.JobID)
	if err != nil {
		return err
	}
	arrived, err := d.Store.Arrivals(d.ctx, c.JobID)
	if err != nil {
		return err
	}
	c.State, c.Arrivals = j.State, map[string]int{}
	for _, s := range subs {
		c.Arrivals[s.Directory] = 0
	}
	for _, a := range arrived {
		c.Arrivals[a.Directory]++
	}
	if j.State != job.Completed {
		d.broke("canary %s is %s: %s", c.JobID, j.State, j.Cause)
	}
	if len(subs) != c.Quota {
		d.broke("canary %s has %d submissions of %d", c.JobID, len(subs), c.Quota)
	}
	for _, s := range subs {
		d.weighOne(c, s)
	}
	return nil
}

func (d *drill) weighOne(c *CanaryReport, s directory.Submission) {
	switch n := c.Arrivals[s.Directory]; {
	case n > 1:
		d.report.Doubled++
		d.broke("%s of canary %s arrived %d times", s.Directory, c.JobID, n)
	case n == 0:
		d.report.Lost++
		d.broke("%s of canary %s never arrived; the books say %s", s.Directory, c.JobID, s.State)
	case s.State != directory.Submitted:
		d.broke("%s of canary %s arrived once, and the books say %s: %s", s.Directory, c.JobID, s.State, s.Reason)
	}
}

// tryStaleWrite writes in the name of the attempt that lost its lease. Whatever the
// worker itself tried is in the history.
func (d *drill) tryStaleWrite() error {
	if d.lease.Fence == 0 {
		return nil
	}
	if err := d.readHistory(); err != nil {
		return err
	}
	before, err := d.Store.Job(d.ctx, d.lease.JobID)
	if err != nil {
		return err
	}
	lost, err := d.Store.Complete(d.ctx, d.lease)
	if err != nil {
		return err
	}
	after, err := d.Store.Job(d.ctx, d.lease.JobID)
	if err != nil {
		return err
	}
	w := &d.report.StaleWrite
	w.Tried = true
	w.Refused = len(lost) == 1 && after.Fence == before.Fence && after.State == before.State && after.FinishedAt.Equal(before.FinishedAt)
	if !w.Refused {
		d.broke("a write under fence %d was accepted although the job was at %d", d.lease.Fence, before.Fence)
	}
	d.say("a write in the name of the struck attempt, fence %d: %s", d.lease.Fence, map[bool]string{true: "refused", false: "ACCEPTED"}[w.Refused])
	return nil
}

// sparedTheLiving looks whether a worker that lived was taken for dead. That it gives its
// lease up by itself is no more than caution.
func (d *drill) sparedTheLiving() error {
	workers, err := d.Store.Workers(d.ctx, time.Hour)
	if err != nil {
		return err
	}
	for _, w := range workers {
		ours := d.victim.is(w.ID) || d.standIn.is(w.ID)
		if ours && !w.RetiredAt.IsZero() && w.RetiredCause != job.RetiredStopped {
			d.broke("worker %s lived and was retired: %s", w.ID, w.RetiredCause)
		}
	}
	return nil
}

// readHistory finds which detector took the job back, and what the struck worker tried.
func (d *drill) readHistory() error {
	events, err := d.Store.History(d.ctx, d.lease.JobID)
	if err != nil {
		return err
	}
	for _, e := range events {
		switch {
		case e.Type == job.EventJobRecovered && e.Fence == d.lease.Fence:
			d.report.Cause = e.Cause
			d.report.Detector = job.DetectorOf(e.Cause)
		case e.Type == job.EventWriteFenced && e.Fence == d.lease.Fence:
			d.report.StaleWrite.ByWorker++
		}
	}
	return nil
}

// Held is an error when a promise broke.
func (r Report) Held() error {
	if r.OK {
		return nil
	}
	return errors.New("a promise broke")
}
