package ratelimit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// batchLimit bounds the keys of one statement.
const batchLimit = 256

// ask is one question for one key, for all who wait for its answer. n grows under
// the shard's lock until the ask is sent.
type ask struct {
	n       int
	debt    int     // of the entry, as told
	told    bool    // what is known went with it
	verdict verdict // set before done
	done    sync.WaitGroup
}

// lane sends one statement at a time. What comes meanwhile is the next one, so a
// batch forms without waiting for it.
type lane struct {
	mu    sync.Mutex
	queue []*entry  // with an ask that was not sent
	busy  bool      // somebody leads
	batch []pending // the leader's
	_     [64]byte
}

// push queues an entry and reports whether the caller is to lead.
func (ln *lane) push(e *entry) (lead bool) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.queue = append(ln.queue, e)
	lead, ln.busy = !ln.busy, true
	return lead
}

// take fills the batch from the queue and reports whether there is any. If not, the
// lead is over.
func (ln *lane) take() bool {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	clear(ln.batch)
	ln.batch = ln.batch[:0]
	n := min(len(ln.queue), batchLimit)
	for _, e := range ln.queue[:n] {
		ln.batch = append(ln.batch, pending{entry: e})
	}
	rest := copy(ln.queue, ln.queue[n:])
	clear(ln.queue[rest:])
	ln.queue = ln.queue[:rest]
	ln.busy = n > 0
	return ln.busy
}

// lead sends the batch that the caller waits for, and leaves what came meanwhile to
// a goroutine that ends when nothing comes any more.
func (l *Limiter) lead(ln *lane) {
	ln.take()
	l.flush(ln.batch)
	if ln.take() {
		go func() {
			for more := true; more; more = ln.take() {
				l.flush(ln.batch)
				runtime.Gosched() // who was just answered may ask again: one statement more for all
			}
		}()
	}
}

// pending is an entry in a batch, its ask, and the question.
type pending struct {
	*entry
	ask      *ask
	question Ask
}

// flush asks for a batch and tells everybody who waits. The storage may have failed
// since they came.
func (l *Limiter) flush(batch []pending) {
	for i := range batch {
		batch[i] = l.question(batch[i].entry)
	}
	slices.SortFunc(batch, func(a, b pending) int { return bytes.Compare(a.question.Key[:], b.question.Key[:]) })
	if l.down.Load() {
		l.settleAlone(batch, true)
		return
	}
	sent := l.mono()
	answers, err := l.send(batch, l.config.Patience)
	if err != nil {
		l.trip(err)
		l.settleAlone(batch, errors.Is(err, ErrUncounted))
		return
	}
	l.deliver(batch, answers, sent)
}

// question takes the entry's ask out of the way of those who come from now on.
func (l *Limiter) question(e *entry) pending {
	sh, _ := l.place(e.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	p := pending{entry: e, ask: e.ask}
	e.ask = nil
	p.question = l.pose(e, p.ask)
	return p
}

// pose makes the question of an ask. The entry's debt goes with it, and is one until
// the answer comes: should a question without an answer have been counted, the debt
// is counted twice, for what certainly passed must not be lost.
func (l *Limiter) pose(e *entry, a *ask) Ask {
	if !e.keyed {
		e.key, e.keyed = l.keys.key(e.limit.policy.Name, e.id), true
	}
	now := l.mono()
	a.debt = e.debt
	known, told := e.known(now)
	a.told = told
	return Ask{
		Key: e.key, N: a.n, Limit: e.limit.policy.Limit, Window: e.limit.policy.Window, Durable: e.limit.policy.Durable,
		Debt: a.debt, DebtAge: time.Duration(now - e.debtAt),
		Known: known.known, KnownAt: known.at, KnownUntil: known.until,
	}
}

func (l *Limiter) send(batch []pending, patience time.Duration) ([]Answer, error) {
	asks := make([]Ask, len(batch))
	for i := range batch {
		asks[i] = batch[i].question
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	sent := l.mono()
	answers, err := l.config.Storage.Admit(ctx, asks)
	if err == nil && len(answers) != len(asks) {
		err = fmt.Errorf("the storage gave %d answers to %d asks", len(answers), len(asks))
	}
	if err == nil {
		l.offset.Store(answers[0].At*1e6 - sent)
	}
	l.config.OnAsk(len(asks), time.Duration(l.mono()-sent), err)
	return answers, err
}

// deliver remembers the answers and tells who waits.
func (l *Limiter) deliver(batch []pending, answers []Answer, sent int64) {
	now := l.mono()
	for i, p := range batch {
		sh, _ := l.place(p.hash)
		sh.mu.Lock()
		p.learn(answers[i], sent, now)
		sh.tallies.add(p.limit.index, Allowed, Stored, answers[i].Granted)
		sh.tallies.add(p.limit.index, Refused, Stored, p.ask.n-answers[i].Granted)
		p.ask.verdict = verdict{source: Stored, granted: answers[i].Granted, left: answers[i].Left(p.limit.policy.Limit), free: p.free}
		sh.mu.Unlock()
		p.ask.done.Done()
	}
}

// learn remembers an answer. Its times count from when the question was sent where
// early is safe, and from when the answer came where late is.
func (p pending) learn(a Answer, sent, now int64) {
	p.debt -= p.ask.debt
	if sent < p.sent {
		return // a later one overtook it
	}
	if p.ask.told {
		p.doubts = nil
	}
	limit := p.limit.policy.Limit
	p.seen, p.sent, p.log = now, sent, nil
	p.mark = mark{known: min(a.Used, limit), at: a.At, until: a.FreeAt}
	p.free = now + int64(a.FreeIn())
	p.deny = 0
	if a.Left(limit) == 0 {
		p.deny = sent + min(int64(a.FreeIn()-time.Millisecond), denyFor)
	}
}
