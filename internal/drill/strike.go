package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

func (d *drill) kill() error {
	d.say("kill -9 of pid %d", d.victim.pid())
	d.struck = time.Now()
	if err := d.victim.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill our process %d: %w", d.victim.pid(), err)
	}
	<-d.victim.exited
	return nil
}

// freeze stops the worker at a moment at which it does not hold SQLite's write lock:
// one that is frozen with it stops every other writer, and no lease helps (see
// docs/lifecycle.md).
func (d *drill) freeze() error {
	for range 100 {
		d.struck = time.Now()
		if err := d.victim.stop(); err != nil {
			return err
		}
		if d.storeIsFree() {
			d.say("SIGSTOP of pid %d", d.victim.pid())
			return nil
		}
		if err := d.victim.goOn(); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("freeze our worker: it holds the store whenever it is stopped")
}

// storeIsFree reports whether a writer gets its turn. To end a pause that there is
// not is a write that changes nothing.
func (d *drill) storeIsFree() bool {
	ctx, cancel := context.WithTimeout(d.ctx, time.Second)
	defer cancel()
	err := d.Store.Resume(ctx, job.Scope{Kind: "drill"}, job.By{Actor: job.ActorSystem, Reason: "is the store free?"})
	return errors.Is(err, job.ErrNotFound)
}

// wake lets the frozen worker go on, and waits until it has noticed what happened.
func (d *drill) wake() error {
	d.say("SIGCONT of pid %d", d.victim.pid())
	if err := d.victim.goOn(); err != nil {
		return err
	}
	return d.awaitNewLife()
}

// awaitNewLife waits until the struck worker has registered under a new identity: it
// knows that the old one is over.
func (d *drill) awaitNewLife() error {
	before := len(d.victim.ids)
	return d.until(waking, "the struck worker to notice that its lease is gone", func() (bool, error) {
		if d.victim.gone() {
			return false, &stopError{errors.New("the struck worker ended by itself")}
		}
		lives, err := d.identify(d.victim)
		if !lives || len(d.victim.ids) == before {
			return false, err
		}
		d.say("the struck worker noticed that its lease is gone, and began anew")
		return true, nil
	})
}

func (d *drill) restartDatabase() error {
	d.say("the database restarts")
	d.struck = time.Now()
	if err := d.Database.Restart(); err != nil {
		return fmt.Errorf("restart the database: %w", err)
	}
	d.say("the database answers again after %s", time.Since(d.struck).Round(time.Millisecond))
	return nil
}

func (d *drill) partition() error {
	d.say("nothing passes between pid %d and the database any more", d.victim.pid())
	d.struck = time.Now()
	d.proxy.Hold()
	return nil
}

func (d *drill) heal() error {
	d.say("the network is whole again")
	d.proxy.Release()
	return d.awaitNewLife()
}

// jump is far enough that every lease looks as if it were over.
func (d *drill) jump() time.Duration { return 2*d.Lease + 2*d.Interval }

func (d *drill) jumpForward() error { return d.jumpDatabase(d.jump()) }

func (d *drill) jumpDatabase(by time.Duration) error {
	d.say("the database's clock jumps to %+v of the real one", by)
	d.struck = time.Now()
	if err := d.Database.Jump(by); err != nil {
		return fmt.Errorf("jump the database's clock: %w", err)
	}
	return nil
}

// jumpOthers repeats the story with the database's clock jumping back, and with the
// worker's own clock jumping as it does when a machine was suspended.
func (d *drill) jumpOthers() error {
	for _, strike := range []func(*drill) error{
		func(d *drill) error { return d.jumpDatabase(-d.jump()) },
		func(d *drill) error {
			d.say("the clock of pid %d jumps by %s, as after a suspend", d.victim.pid(), d.jump())
			d.struck = time.Now()
			d.victim.tell("shift " + d.jump().String())
			return nil
		},
	} {
		d.Scenario.strike = strike
		if err := d.act(); err != nil {
			return err
		}
	}
	return nil
}
