package deadletter

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// blindAfter is how many intervals may go by without a good look.
const blindAfter = 2

// blindness is what a monitor remembers of looks that failed.
type blindness struct {
	since time.Time // first look of this process, by the store's clock
	told  bool      // this process said that nobody sees
}

// sight tells people when nobody has seen the dead letter queue for two intervals, and
// when somebody sees it again. Whether any monitor has, the looks in the store say.
func (m *Monitor) sight(ctx context.Context, looked error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	now, err := m.Store.Now(ctx)
	if err != nil {
		return err
	}
	passes, err := m.Store.MonitorPasses(ctx)
	if err != nil {
		return err
	}
	if m.blind.since.IsZero() {
		m.blind.since = now
	}
	seen, failed := m.lastSeen(passes)
	blind := now.Sub(seen) > blindAfter*m.Interval
	switch {
	case looked == nil && (m.blind.told || blind && failed):
		err = m.Store.Tell(ctx, job.Event{Type: job.EventQueueSeen}, m.blindNotice(now, true,
			fmt.Sprintf("%s is seen again, after %s", m.Queue.Name(), now.Sub(seen).Round(time.Second))))
		m.blind.told = m.blind.told && err != nil
	case looked != nil && blind && !m.blind.told && m.speaks(passes, now):
		err = m.Store.Tell(ctx, job.Event{Type: job.EventQueueBlind, Cause: looked.Error()}, m.blindNotice(now, false,
			fmt.Sprintf("nobody has seen %s for %s: %s", m.Queue.Name(), now.Sub(seen).Round(time.Second), looked)))
		m.blind.told = err == nil
	}
	return err
}

// lastSeen is when a monitor last had a good look, or, when none ever had, when this
// one began; and whether one has failed since. Where none has, nobody looked.
func (m *Monitor) lastSeen(passes []job.MonitorPass) (at time.Time, failed bool) {
	for _, p := range passes {
		if p.Monitor == job.MonitorDLQLook && p.GoodAt.After(at) {
			at = p.GoodAt
		}
	}
	for _, p := range passes {
		failed = failed || p.Monitor == job.MonitorDLQLook && p.Error != "" && p.At.After(at)
	}
	if at.IsZero() {
		at = m.blind.since
	}
	return at, failed
}

// speaks chooses one of the monitors that are at work, so that not each of them says
// the same.
func (m *Monitor) speaks(passes []job.MonitorPass, now time.Time) bool {
	for _, p := range passes {
		if p.Monitor == job.MonitorDLQLook && now.Sub(p.At) <= blindAfter*m.Interval && bytes.Compare(p.Process[:], m.proof.looks.Process[:]) < 0 {
			return false
		}
	}
	return true
}

func (m *Monitor) blindNotice(now time.Time, resolved bool, text string) *job.Notice {
	return &job.Notice{
		Key: "queue_blind:" + m.Queue.Name(), Alert: job.AlertQueueBlind, Group: m.Queue.Name(), Resolved: resolved, Text: text, At: now,
	}
}
