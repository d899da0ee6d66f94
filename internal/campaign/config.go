package campaign

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Config describes a campaign.
type Config struct {
	Seed   uint64
	Binary string // the program under test
	Dir    string // where logs and SQLite files go; it must exist

	Postgres Strength // what Postgres and its workers suffer
	SQLite   Strength // what the workers on a SQLite file suffer; no cuts, no restarts

	Lease    time.Duration // of the workers
	Patience time.Duration // for the last orders to end once the faults are over

	Out   io.Writer     // hears of the progress
	Every time.Duration // between two lines of progress
}

// Strength is how many faults of each class strike how many workers.
type Strength struct {
	Workers  int
	Orders   int // open at once
	Kills    int // kill -9
	Freezes  int // SIGSTOP past the lease, SIGCONT
	Cuts     int // connections to the database cut
	Restarts int // of the database
}

// Full is the campaign of docs/reliability.md, times scale.
func Full(scale float64) (postgres, sqlite Strength) {
	n := func(full int) int { return int(float64(full)*scale + 0.5) }
	return Strength{Workers: 8, Orders: 32, Kills: n(2000), Freezes: n(2000), Cuts: n(2000), Restarts: n(100)},
		Strength{Workers: 4, Orders: 16, Kills: n(1000), Freezes: n(1000)}
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	bad := func(is bool, format string, args ...any) {
		if is {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	bad(c.Binary == "", "campaign: no binary")
	bad(c.Dir == "", "campaign: no directory")
	bad(c.Lease < 500*time.Millisecond, "campaign: lease %s is less than 500ms", c.Lease)
	bad(c.SQLite.Cuts > 0 || c.SQLite.Restarts > 0, "campaign: a SQLite file has no connections to cut and no server to restart")
	for _, s := range []Strength{c.Postgres, c.SQLite} {
		bad(min(s.Workers, s.Orders, s.Kills, s.Freezes, s.Cuts, s.Restarts) < 0, "campaign: a negative number in %+v", s)
	}
	return errors.Join(faults...)
}

func (s Strength) faults() int { return s.Kills + s.Freezes + s.Cuts }
