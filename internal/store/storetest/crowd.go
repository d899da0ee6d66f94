package storetest

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var crowdPromises = []promise{
	{name: "BeatsAndBatchesNeverDeadlock", hints: true, holds: beatsAndBatches},
	{name: "WorkersThatDieAndWakeLoseAndDoubleNothing", hints: true, holds: dyingWorkers},
}

// beatsAndBatches lets verbs that touch many rows of one worker meet, each with
// the rows in an order of its own. A store that locks them as they come deadlocks.
func beatsAndBatches(b *bed) {
	const rounds, n = 3, 80
	w := b.worker()
	for range rounds {
		b.noops(n)
		jobs := b.claim(w, n)
		b.atOnce(8, func(i int, s Store) {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range 4 {
				held := make([]job.Held, len(jobs))
				leases := make([]job.Lease, len(jobs))
				for to, from := range r.Perm(len(jobs)) {
					leases[to] = jobs[from].Lease()
					held[to] = job.Held{Lease: leases[to], Progressed: true}
				}
				var err error
				switch part := leases[:len(leases)/6]; i % 4 {
				case 0, 1:
					_, err = s.Beat(b.ctx, w, lease, held)
				case 2:
					_, err = s.Complete(b.ctx, part...)
				default:
					_, err = s.Release(b.ctx, "drain", part...)
				}
				if err != nil {
					b.Errorf("caller %d: %v", i, err)
				}
			}
		})
	}
	c := b.counts()
	b.equal("jobs at the end", c[job.Pending]+c[job.InProgress]+c[job.Completed], int64(rounds*n))
}

// dyingWorkers runs workers that complete, fail, give back, and die with jobs in
// hand, and that wake under their old identity and try to finish what is no
// longer theirs. Every job must be completed in the end, by exactly one of all
// the completions that were accepted.
func dyingWorkers(b *bed) {
	const n, crowd, rounds = 120, 6, 40
	b.enqueue(slices.Repeat([]job.Spec{{Kind: job.KindNoop, MaxAttempts: 10000, CrashBudget: 10000}}, n)...)
	c := &crowdWork{bed: b, completed: map[job.ID]int{}}
	members := make([]*member, crowd)
	for i := range members {
		members[i] = &member{crowdWork: c, random: rand.New(rand.NewPCG(7, uint64(i)))}
	}
	for range rounds {
		if len(c.completed) == n {
			break
		}
		b.atOnce(crowd, func(i int, s Store) {
			members[i].store = s
			for range 10 {
				members[i].turn()
			}
		})
		b.Advance(time.Hour) // whatever backoff a second recovery has
	}
	b.equal("completed", b.counts()[job.Completed], int64(n))
	b.equal("jobs whose completion was accepted", len(c.completed), n)
	for id, times := range c.completed {
		if times != 1 {
			b.Errorf("completion of job %s was accepted %d times", id, times)
		}
	}
	b.equal("refused writes recorded", b.numberOf("events", "type = 'write.fenced'"), int64(c.refused))
}

type crowdWork struct {
	*bed
	mu        sync.Mutex
	completed map[job.ID]int // how often each completion was accepted
	refused   int
}

// note counts what a verb on these leases came to.
func (c *crowdWork) note(completing bool, leases, lost []job.Lease) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused += len(lost)
	for _, l := range leases {
		if completing && !slices.Contains(lost, l) {
			c.completed[l.JobID]++
		}
	}
}

// member is one worker of the crowd, through its deaths.
type member struct {
	*crowdWork
	store  Store
	random *rand.Rand
	id     job.ID
	dead   []job.Lease // what it held when it last died
}

func (m *member) register() {
	m.id = job.NewID()
	if err := m.store.Register(m.ctx, workerRow(m.id), 1000*time.Hour); err != nil {
		m.Errorf("register: %v", err)
	}
}

// turn claims some jobs and does with them what chance says.
func (m *member) turn() {
	if m.id == (job.ID{}) {
		m.register()
	}
	jobs, err := m.store.Claim(m.ctx, job.ClaimRequest{
		Worker: m.id, Limit: 1 + m.random.IntN(5), Kinds: kinds, Quarantined: m.random.IntN(2) == 0,
	})
	if err != nil {
		m.Errorf("claim: %v", err)
		return
	}
	leases := make([]job.Lease, len(jobs))
	for i := range jobs {
		leases[i] = jobs[i].Lease()
	}
	switch m.random.IntN(6) {
	case 0:
		m.release(leases)
	case 1:
		m.die(leases)
	case 2:
		for _, l := range leases {
			m.one(l, errorOf(m.store.Fail(m.ctx, l, job.Failure{Cause: "no", Class: job.ClassTransient})))
		}
	case 3:
		for _, l := range leases {
			m.one(l, m.store.Snooze(m.ctx, l, 0, "cap"))
		}
	default:
		m.complete(leases)
	}
	m.recover()
}

// die ends the member's identity with jobs in hand; the dead of the time before
// last wakes and tries to complete what it held.
func (m *member) die(leases []job.Lease) {
	if err := m.store.Retire(m.ctx, m.id, job.RetiredLockLost, job.By{Actor: job.ActorSystem}); err != nil {
		m.Errorf("retire: %v", err)
	}
	m.complete(m.dead)
	m.dead = leases
	m.register()
}

func (m *member) recover() {
	if _, err := m.store.Recover(m.ctx, 3); err != nil {
		m.Errorf("recover: %v", err)
	}
}

func (m *member) complete(leases []job.Lease) {
	lost, err := m.store.Complete(m.ctx, leases...)
	if err != nil {
		m.Errorf("complete: %v", err)
	}
	m.note(true, leases, lost)
}

func (m *member) release(leases []job.Lease) {
	lost, err := m.store.Release(m.ctx, "drain", leases...)
	if err != nil {
		m.Errorf("release: %v", err)
	}
	m.note(false, leases, lost)
}

// one notes a verb on one lease.
func (m *member) one(l job.Lease, err error) {
	switch {
	case errors.Is(err, job.ErrLeaseLost):
		m.note(false, []job.Lease{l}, []job.Lease{l})
	case err != nil:
		m.Errorf("end of an attempt: %v", err)
	}
}
