package campaign

import (
	"math/rand/v2"
	"time"
)

// Class is a kind of fault.
type Class string

// The classes, in the order in which they are told.
const (
	Kill    Class = "kill -9"
	Freeze  Class = "freeze past the lease"
	Cut     Class = "connection cut"
	Restart Class = "database restart"
)

// Classes lists all.
var Classes = []Class{Kill, Freeze, Cut, Restart}

// fault is one entry of a schedule.
type fault struct {
	class Class
	aimed bool          // strikes when a post of this worker arrives
	pause time.Duration // before it
	extra time.Duration // of a freeze, beyond the lease
	one   bool          // cut one connection and not all
	crash bool          // the database is killed and not stopped
}

// schedule draws the faults of one worker. Every third of each class is aimed.
func schedule(rnd *rand.Rand, counts map[Class]int) []fault {
	var all []fault
	for _, class := range Classes {
		for i := range counts[class] {
			all = append(all, fault{class: class, aimed: i%3 == 0})
		}
	}
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for i := range all {
		all[i].pause = 50*time.Millisecond + time.Duration(rnd.Int64N(int64(400*time.Millisecond)))
		all[i].extra = 50*time.Millisecond + time.Duration(rnd.Int64N(int64(250*time.Millisecond)))
		all[i].one = rnd.IntN(2) == 0
		all[i].crash = rnd.IntN(2) == 0
	}
	return all
}

// share is the part of n that falls to the i-th of so many.
func share(n, i, of int) int { return n*(i+1)/of - n*i/of }
