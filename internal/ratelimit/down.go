package ratelimit

import (
	"bytes"
	"context"
	"math"
	"slices"
	"time"
)

// alone decides n requests without the storage, as the policy says. uncounted says
// that the storage has certainly not counted them; otherwise it may have.
func (e *entry) alone(n int, now int64, uncounted bool) verdict {
	l, p := e.limit.limiter, e.limit.policy
	sh, _ := l.place(e.hash)
	v := verdict{source: Alone}
	switch p.Down {
	case Open:
		v.granted, v.left = n, p.Limit
		sh.tallies.add(e.limit.index, Allowed, Alone, n)
	case Closed:
		v.closed, v.free = true, now+int64(l.config.Probe)
		sh.tallies.add(e.limit.index, Unavailable, Alone, n)
	default:
		a := e.local(n, now)
		v.granted, v.left, v.free = a.Granted, a.Left(p.Limit), now+int64(a.FreeIn())
		sh.tallies.add(e.limit.index, Allowed, Alone, a.Granted)
		sh.tallies.add(e.limit.index, Refused, Alone, n-a.Granted)
		e.owe(a.Granted, now, uncounted)
	}
	return v
}

// local goes on from the last count known. When those stamps were is not known,
// only that they are not younger than the answer that told of them.
func (e *entry) local(n int, now int64) Answer {
	p := e.limit.policy
	if e.log == nil {
		e.log = e.remembered(now)
	}
	var a Answer
	e.log, a = e.log.Admit(Ask{N: n, Limit: p.Limit, Window: p.Window}, now/1000)
	return a
}

// remembered is the log to go on from.
func (e *entry) remembered(now int64) Log {
	n, at := e.mark.known+e.debt, max(e.seen, e.debtAt)
	if doubts := e.doubts.Len(); doubts > 0 {
		n, at = n+doubts, now
	}
	if n == 0 {
		return Log{}
	}
	return Log{element(roundUp(at, 1e6)/1e6, n)}
}

// known is what this instance knows to be in the storage's log, if nothing was lost.
// Before the storage's clock is known, nothing can be said; told is false then.
func (e *entry) known(now int64) (m mark, told bool) {
	l, window := e.limit.limiter, e.limit.policy.Window
	if l.offset.Load() == 0 {
		return mark{}, false
	}
	m = e.mark
	if m.until <= l.storeTime(now) {
		m.known = 0
	}
	e.doubts = e.doubts.live((now-int64(window))/1e6, math.MaxInt64)
	if len(e.doubts) > 0 {
		until := l.storeTime(stampOf(e.doubts[0])*1e6 + int64(window))
		if m.known == 0 || until < m.until {
			m.until = until
		}
		m.known += e.doubts.Len()
		m.at = max(m.at, l.storeTime(e.doubts.Last()*1e6))
	}
	m.known = min(m.known, e.limit.policy.Limit)
	return m, true
}

// owe remembers what passed without the storage. What was asked and may have been
// counted is no debt, or a client would pay twice: the storage learns how many
// stamps it should have at least, and adds what is missing.
func (e *entry) owe(n int, now int64, uncounted bool) {
	switch {
	case n == 0:
	case uncounted:
		e.debt += n
		e.debtAt = now
	default:
		e.doubts = e.doubts.add(roundUp(now, 1e6)/1e6, n)
	}
}

// settleAlone answers a batch whose statement failed or was never sent.
func (l *Limiter) settleAlone(batch []pending, uncounted bool) {
	now := l.mono()
	for _, p := range batch {
		sh, _ := l.place(p.hash)
		sh.mu.Lock()
		p.ask.verdict = p.alone(p.ask.n, now, uncounted)
		sh.mu.Unlock()
		p.ask.done.Done()
	}
}

// trip opens the breaker: from now on only the probe talks to the storage.
func (l *Limiter) trip(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down.Load() || l.closed {
		return
	}
	l.since, l.cause = time.Now(), cause
	l.down.Store(true)
	l.config.Log.Warn("the storage of the rate limits failed, each policy goes on by itself", "error", cause.Error())
	l.config.OnChange(cause)
	l.probing.Go(l.probe)
}

// probe looks for the storage until it is back, and closes the breaker.
func (l *Limiter) probe() {
	tick := time.NewTicker(l.config.Probe)
	defer tick.Stop()
	for {
		select {
		case <-l.ended.Done():
			return
		case <-tick.C:
		}
		if l.alive() && l.payDebts() {
			l.mend()
			return
		}
	}
}

// probePatience bounds a probe: connecting anew may take longer than a statement.
const probePatience = 2 * time.Second

// alive reports whether the storage answers, and as fast as decisions need it.
func (l *Limiter) alive() bool {
	for _, patience := range []time.Duration{probePatience, l.config.Patience} {
		ctx, cancel := context.WithTimeout(l.ended, patience)
		err := l.config.Storage.Ping(ctx)
		cancel()
		if err != nil {
			return false
		}
	}
	return true
}

func (l *Limiter) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.config.Log.Info("the storage of the rate limits is back", "took", time.Since(l.since).Round(time.Millisecond).String())
	l.since, l.cause = time.Time{}, nil
	l.down.Store(false)
	l.config.OnChange(nil)
}

// payDebts tells the storage what passed without it, and reports whether it took
// everything. What passes meanwhile goes with the next ask of its key.
func (l *Limiter) payDebts() bool {
	for debtors := range slices.Chunk(l.debtors(), batchLimit) {
		batch := make([]pending, len(debtors))
		for i, e := range debtors {
			batch[i] = l.payment(e)
		}
		slices.SortFunc(batch, func(a, b pending) int { return bytes.Compare(a.question.Key[:], b.question.Key[:]) })
		sent := l.mono()
		answers, err := l.send(batch, probePatience)
		now := l.mono()
		for i, p := range batch {
			sh, _ := l.place(p.hash)
			sh.mu.Lock()
			if err == nil {
				p.learn(answers[i], sent, now)
			}
			sh.mu.Unlock()
		}
		if err != nil {
			return false
		}
	}
	return true
}

func (l *Limiter) debtors() (all []*entry) {
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		for e := sh.newest.next; e != &sh.newest; e = e.next {
			if e.debt > 0 {
				all = append(all, e)
			}
		}
		sh.mu.Unlock()
	}
	return all
}

// payment is a question on which nobody waits.
func (l *Limiter) payment(e *entry) pending {
	sh, _ := l.place(e.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	p := pending{entry: e, ask: &ask{}}
	p.question = l.pose(e, p.ask)
	return p
}
