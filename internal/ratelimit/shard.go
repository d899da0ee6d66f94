package ratelimit

import (
	"hash/maphash"
	"sync"
	"time"
)

const shardCount = 64

// shard is a part of the memory, by hash of the subject's id.
type shard struct {
	_       [64]byte // keeps neighbours off one cache line
	mu      sync.Mutex
	entries map[uint64]*entry // by hash; those that share one are a list
	size    int
	newest  entry // head of the ring of entries, by last use
	bound   int
	evicted uint64
	tallies tallies
	_       [64]byte // keeps neighbours off one cache line
}

// entry is what an instance remembers of a key. Times are nanoseconds since the
// limiter was made, except for those of mark. The shard's lock guards it.
type entry struct {
	limit      *Limit
	id         Subject
	hash       uint64
	same       *entry // another with this hash
	prev, next *entry // in the ring
	used       int64  // when it came to the front of it

	key   Key
	keyed bool
	ask   *ask  // waits to be sent; nil: nobody waits
	deny  int64 // until then the log is known to be full
	free  int64 // when the log has room for more than now
	seen  int64 // when the last answer came
	sent  int64 // when its question went
	mark  mark  // what the log held then

	// While the storage is down:
	log    Log   // what passed, in milliseconds since the limiter was made
	debt   int   // what passed and is not in the storage's log
	debtAt int64 // the last of it
	doubts Log   // what passed and may be in the storage's log or not; in milliseconds
}

// mark is what the storage's log held, in its own time; see Ask.
type mark struct {
	known     int
	at, until int64
}

var shardSeed = maphash.MakeSeed()

// hash is that of a subject's id; its kind and policy are compared.
func hash(id string) uint64 { return maphash.String(shardSeed, id) }

// place is where a subject is remembered, and who asks for it.
func (l *Limiter) place(hash uint64) (*shard, *lane) {
	return &l.shards[hash%shardCount], &l.lanes[hash/shardCount%uint64(len(l.lanes))]
}

func (sh *shard) init(policies, bound int) {
	sh.entries = map[uint64]*entry{}
	sh.newest.prev, sh.newest.next = &sh.newest, &sh.newest
	sh.bound = bound
	sh.tallies = make(tallies, policies, policies+2)[:policies:policies] // on cache lines of its own
}

// fresh is for how long an entry that came to the front of the ring is as good as in
// front: who is refused again and again must not make processors take turns at writing.
const fresh = int64(100 * time.Millisecond)

// entry finds the subject's entry, or makes one, and counts it as used now.
func (sh *shard) entry(lim *Limit, s Subject, hash uint64, now int64) *entry {
	e := sh.entries[hash]
	for e != nil && (e.limit != lim || e.id != s) {
		e = e.same
	}
	switch {
	case e == nil:
		if sh.size >= sh.bound {
			sh.evict()
		}
		e = &entry{limit: lim, id: s, hash: hash, same: sh.entries[hash], used: now}
		sh.entries[hash] = e
		sh.size++
		sh.link(e)
	case now-e.used > fresh:
		sh.unlink(e)
		sh.link(e)
		e.used = now
	}
	return e
}

func (sh *shard) remove(e *entry) {
	sh.unlink(e)
	sh.size--
	first := sh.entries[e.hash]
	switch {
	case first != e:
		for first.same != e {
			first = first.same
		}
		first.same = e.same
	case e.same != nil:
		sh.entries[e.hash] = e.same
	default:
		delete(sh.entries, e.hash)
	}
}

func (sh *shard) link(e *entry) {
	e.prev, e.next = &sh.newest, sh.newest.next
	e.prev.next, e.next.prev = e, e
}

func (sh *shard) unlink(e *entry) { e.prev.next, e.next.prev = e.next, e.prev }

// evictSearch is how far eviction looks for an entry that nobody needs.
const evictSearch = 16

// evict forgets the entry that was unused for longest. A debt is kept for as long as
// there are others; an entry that somebody waits on is always kept, so the bound may
// be passed by as many as wait.
func (sh *shard) evict() {
	var victim *entry
	e := sh.newest.prev
	for range evictSearch {
		if e == &sh.newest {
			break
		}
		if e.ask == nil && (victim == nil || e.debt == 0) {
			victim = e
			if e.debt == 0 {
				break
			}
		}
		e = e.prev
	}
	if victim != nil {
		sh.remove(victim)
		sh.evicted++
	}
}
