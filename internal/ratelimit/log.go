package ratelimit

// Log is the log of one key: when requests passed, oldest first. An element is a
// stamp, in milliseconds, and how many passed with it. The SQL of a storage is this
// algorithm in other words; ratelimittest holds them against each other.
type Log []int64

const (
	// countBits is the part of an element that counts. What is left of 63 bits holds
	// milliseconds for 278 years.
	countBits = 20
	countMask = 1<<countBits - 1

	// slots is how many stamps a log has at most, about. A limit up to it is
	// kept to the millisecond; for a higher one stamps are rounded up to a slot of the
	// window's 256th part, so that a window is never shorter and at most that longer.
	slots = 256
)

func element(stamp int64, n int) int64 { return stamp<<countBits | int64(min(n, countMask)) }
func stampOf(e int64) int64            { return e >> countBits }
func countOf(e int64) int              { return int(e & countMask) }

// Admit answers the ask at a moment, in microseconds, and returns the log after it.
// It may change l.
func (l Log) Admit(a Ask, now int64) (Log, Answer) {
	ms, window := now/1000, a.Window.Milliseconds()
	slot := slotOf(a.Limit, window)
	stamp := roundUp(roundUp(now, 1000)/1000, slot)

	live := l.live(ms-window, stamp)
	held := live.Len()
	known, debt := 0, 0
	if a.KnownUntil > ms {
		known = max(0, a.Known-held)
	}
	if age := a.DebtAge.Milliseconds(); a.Debt > 0 && age < window {
		debt = a.Debt
	}
	if fill := known + debt; fill > 0 {
		live = append(live, element(live.fillStamp(a, ms, slot, stamp, known, debt), fill))
		held += fill
	}
	granted := max(0, min(a.N, a.Limit-held))
	live = live.add(stamp, granted)
	return live, Answer{Granted: granted, Used: held + granted, FreeAt: live.freeAt(held+granted, a.Limit, ms-window) + window, At: ms}
}

// live drops what has left the window. A stamp ahead of the clock, which was set
// back since, counts as now, or it would stay for longer than a window.
func (l Log) live(cut, stamp int64) Log {
	for len(l) > 0 && stampOf(l[0]) <= cut {
		l = l[1:]
	}
	for i := len(l) - 1; i >= 0 && stampOf(l[i]) > stamp; i-- {
		l[i] = element(stamp, countOf(l[i]))
	}
	return l
}

// Len is how many stamps the log holds.
func (l Log) Len() (n int) {
	for _, e := range l {
		n += countOf(e)
	}
	return n
}

// fillStamp is when the stamps that are filled up, or paid, were at the latest.
func (l Log) fillStamp(a Ask, ms, slot, stamp int64, known, debt int) int64 {
	var at int64
	if known > 0 {
		at = a.KnownAt + 1
	}
	if debt > 0 {
		at = max(at, ms-a.DebtAge.Milliseconds()+1)
	}
	if n := len(l); n > 0 {
		at = max(at, stampOf(l[n-1]))
	}
	return min(roundUp(at, slot), stamp)
}

func (l Log) add(stamp int64, n int) Log {
	last := len(l) - 1
	switch {
	case n == 0:
		return l
	case last >= 0 && stampOf(l[last]) == stamp && countOf(l[last])+n <= countMask:
		l[last] += int64(n)
		return l
	}
	return append(l, element(stamp, n))
}

// freeAt is the stamp whose leaving makes room. With more stamps than the limit,
// after a debt or when the limit was lowered, that is not the oldest.
func (l Log) freeAt(used, limit int, none int64) int64 {
	must := max(1, used-limit+1)
	for _, e := range l {
		if must -= countOf(e); must <= 0 {
			return stampOf(e)
		}
	}
	return none
}

// Last is the newest stamp, in milliseconds; zero when there is none.
func (l Log) Last() int64 {
	if len(l) == 0 {
		return 0
	}
	return stampOf(l[len(l)-1])
}

func slotOf(limit int, window int64) int64 {
	if limit <= slots {
		return 1
	}
	return roundUp(window, slots) / slots
}

func roundUp(v, unit int64) int64 { return (v + unit - 1) / unit * unit }
