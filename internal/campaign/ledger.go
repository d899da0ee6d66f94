package campaign

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Tally counts the faults of a class that struck.
type Tally struct {
	Struck int `json:"struck"`
	Aimed  int `json:"aimed"` // of these, at the moment a post of the worker arrived
}

// ledger counts what happened on one front.
type ledger struct {
	mu     sync.Mutex
	faults map[Class]Tally

	placed  atomic.Int64 // orders
	wakes   atomic.Int64 // wake-ups beyond those that meant something
	delays  atomic.Int64 // answers of directories held up
	overdue atomic.Int64 // of these, beyond the client's patience
	begun   atomic.Int64 // processes started
	unasked atomic.Int64 // processes that ended by themselves: the database was away at their start
}

func (l *ledger) count(c Class, aimed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.faults[c]
	t.Struck++
	if aimed {
		t.Aimed++
	}
	l.faults[c] = t
}

func (l *ledger) tally(c Class) Tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.faults[c]
}

// missed reports whether fewer than a third of a class struck at their moment so far: then
// others must make up for those that waited in vain.
func (l *ledger) missed(c Class) bool {
	t := l.tally(c)
	return 3*t.Aimed < t.Struck
}

// struck is how many faults of workers there have been.
func (l *ledger) struck() (n int) {
	for _, c := range []Class{Kill, Freeze, Cut} {
		n += l.tally(c).Struck
	}
	return n
}

// progress is a line for people.
func (f *front) progress(out io.Writer, since time.Time) {
	fmt.Fprintf(out, "%6s  %-8s", time.Since(since).Round(time.Second), f.name)
	for _, c := range Classes {
		if n := f.want(c); n > 0 {
			fmt.Fprintf(out, "  %s %d/%d", c, f.ledger.tally(c).Struck, n)
		}
	}
	fmt.Fprintf(out, "  orders %d, open %d\n", f.ledger.placed.Load(), f.open.Load())
}
