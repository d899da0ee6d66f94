package drill

import (
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// follow watches the struck canary until it is final.
func (d *drill) follow(id job.ID) error {
	if d.Scenario.lives {
		return d.followLiving(id)
	}
	if err := d.until(d.patience(), "somebody to notice", func() (bool, error) { return d.noticed(id) }); err != nil {
		return err
	}
	d.report.Detection = time.Since(d.struck)
	d.say("noticed after %s", d.report.Detection.Round(time.Millisecond))
	var next job.Job
	err := d.until(d.patience(), "the next attempt to start", func() (started bool, err error) {
		next, err = d.Store.Job(d.ctx, id)
		return next.Fence > d.lease.Fence && next.State != job.Pending, err
	})
	if err != nil {
		return err
	}
	d.report.Recovery, d.report.NextWorker = time.Since(d.struck), next.WorkerID
	d.say("next attempt started after %s, fence %d, worker %s", d.report.Recovery.Round(time.Millisecond), next.Fence, d.nameOf(next.WorkerID))
	return d.awaitFinal(id)
}

// noticed reports whether the struck worker was retired or lost its job.
func (d *drill) noticed(id job.ID) (bool, error) {
	j, err := d.Store.Job(d.ctx, id)
	if err != nil {
		return false, err
	}
	if j.Fence != d.lease.Fence || j.State != job.InProgress {
		return true, nil
	}
	workers, err := d.Store.Workers(d.ctx, time.Hour)
	for _, w := range workers {
		if w.ID == d.lease.WorkerID {
			return !w.RetiredAt.IsZero(), err
		}
	}
	return false, err
}

// followLiving watches a canary whose worker lives: what counts is when it got further,
// whoever took it further.
func (d *drill) followLiving(id job.ID) error {
	var before, j job.Job
	err := d.until(d.patience(), "the canary to get further", func() (further bool, err error) {
		if j, err = d.Store.Job(d.ctx, id); err != nil {
			return false, err
		}
		if before.ID != id {
			before = j
		}
		return j.State.Final() || j.Fence != d.lease.Fence && j.State != job.Pending || !j.ProgressAt.Equal(before.ProgressAt), nil
	})
	if err != nil {
		return err
	}
	took := time.Since(d.struck)
	d.report.Recovery = max(d.report.Recovery, took)
	who := "the same attempt"
	if j.Fence != d.lease.Fence {
		who = "another attempt"
		d.report.NextWorker = j.WorkerID
	}
	d.say("the canary got further after %s, by %s of worker %s", took.Round(time.Millisecond), who, d.nameOf(j.WorkerID))
	return d.awaitFinal(id)
}

func (d *drill) awaitFinal(id job.ID) error {
	return d.until(d.patience()+startup, "the canary to end", func() (bool, error) {
		j, err := d.Store.Job(d.ctx, id)
		if err != nil || !j.State.Final() {
			return false, err
		}
		d.say("canary %s is %s", id, j.State)
		return true, nil
	})
}

// nameOf says who a worker is among those that people know of.
func (d *drill) nameOf(id job.ID) string {
	for _, c := range []*child{d.victim, d.standIn} {
		if _, err := d.identify(c); err == nil && c.is(id) {
			return id.String() + " (our " + c.role() + ")"
		}
	}
	return id.String()
}
