package stale

import (
	"context"
	"fmt"
	"time"
)

// parting is how far the store's clock may part from ours between two looks, as a part
// of the lease, before it counts as a jump: what drifts and what waits stays below.
const parting = 4

// timepiece remembers where the store's clock stood beside ours.
type timepiece struct {
	known bool
	skew  time.Duration // the store's clock, since the epoch, less ours
}

// jumped reports whether the store's clock stepped since the last look. All leases were
// granted by the clock before the step: those of the living look as if they were over,
// until each of them had a chance to beat again.
func (m *Monitor) jumped(ctx context.Context) (bool, error) {
	if m.Now == nil {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	asked := m.clock()
	now, err := m.Now(ctx)
	if err != nil {
		return false, fmt.Errorf("read the store's clock: %w", err)
	}
	answered := m.clock()
	if answered-asked > m.Lease/(2*parting) {
		return false, nil // too slow an answer to tell a jump from the way to us
	}
	before := m.hands
	m.hands = timepiece{true, time.Duration(now.UnixNano()) - (asked+answered)/2}
	by := m.hands.skew - before.skew
	if !before.known || by.Abs() <= m.Lease/parting {
		return false, nil
	}
	m.Log.WarnContext(ctx, "the store's clock jumped, all leases are spared once", "by", by, "spare", m.Lease)
	return true, nil
}
