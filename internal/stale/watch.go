package stale

import (
	"context"

	"github.com/directorybolt/directorybolt/internal/job"
)

// watch has the store watch over the workers' lifelines until ctx ends, where it can.
// The channel is closed when it has ended.
func (m *Monitor) watch(ctx context.Context) <-chan struct{} {
	ended := make(chan struct{})
	if m.Lifelines == nil {
		close(ended)
		return ended
	}
	go func() {
		defer close(ended)
		err := m.Lifelines.WatchLifelines(ctx, func(dead job.Worker) {
			select {
			case m.deaths <- dead:
			case <-ctx.Done(): // it is retired: the next pass, anybody's, takes its jobs
			}
		})
		if err != nil && ctx.Err() == nil {
			m.Log.DebugContext(ctx, "no death-watch: workers that die are found by their lease", "error", err.Error()) // the store has said why
		}
	}()
	return ended
}

// allDead is dead and whoever else died meanwhile.
func (m *Monitor) allDead(dead job.Worker) []job.Worker {
	all := []job.Worker{dead}
	for {
		select {
		case dead = <-m.deaths:
			all = append(all, dead)
		default:
			return all
		}
	}
}

// mourn recovers the jobs of workers that the death-watch has retired, at once. What it
// cannot move now the next pass moves.
func (m *Monitor) mourn(ctx context.Context, dead ...job.Worker) Result {
	for _, w := range dead {
		m.tellRetired(ctx, w)
	}
	r := Result{Retired: dead}
	var err error
	r.Recovered, err = m.recoverAll(ctx, "recover jobs of workers that died", m.Store.Recover)
	if err != nil && ctx.Err() == nil {
		m.Log.WarnContext(ctx, "jobs of a dead worker not recovered, the next pass will", "worker_id", dead[0].ID, "error", err.Error())
	}
	m.proof.count(r)
	m.countDone(r)
	return r
}
