package stale

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

const (
	// lookTimeout bounds one look for orphans, and what follows from it.
	lookTimeout = 3 * time.Second
	// orphanLimit is how many orphans of a kind one look takes up.
	orphanLimit = 1000
)

// Orphanage is what a monitor needs of a store to find what nobody would come to.
type Orphanage interface {
	job.Orphans
	job.Findings
}

// orphanLook says how the monitor looks for one kind of orphan. Times are multiples of
// its patience.
type orphanLook struct {
	kind     string
	after    float64 // see job.Orphans
	mends    bool    // else people must: they are told when a second look confirms it
	severity string  // of the notice; empty: the kind's own
}

// orphanLooks are made when it is the monitor's turn.
var orphanLooks = []orphanLook{
	ownerLook,
	{kind: job.OrphanUnclaimed, after: 1, severity: "page"},
	{kind: job.OrphanUnsent, after: 5},
	{kind: job.OrphanHint, after: 1, mends: true, severity: "info"},
	{kind: job.OrphanUnhinted, after: 1, mends: true, severity: "info"},
	{kind: job.OrphanUndecided, after: 1, mends: true},
}

// booksLook is what the monitor of the books looks for, who tells of it himself.
var booksLook = orphanLook{kind: job.OrphanUnbalanced, after: 3}

// ownerLook costs next to nothing and is made in every pass: no other detector sees
// a job whose worker has no row.
var ownerLook = orphanLook{kind: job.OrphanOwner, mends: true}

// Patience is the default of [Config.Patience].
const Patience = time.Minute

// Seek lists the orphans that a monitor of the default patience, and that of the books,
// would find now, up to limit of each kind, and changes nothing.
func Seek(ctx context.Context, s job.Orphans, limit int) ([]job.Finding, error) {
	var all []job.Finding
	for _, l := range append(slices.Clone(orphanLooks), booksLook) {
		found, err := s.FindOrphans(ctx, l.kind, l.patience(Patience), limit)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func (l orphanLook) patience(unit time.Duration) time.Duration {
	return time.Duration(l.after * float64(unit))
}

// adopt retires owners that nobody knows, so that this pass recovers their jobs.
func (m *Monitor) adopt(ctx context.Context) ([]job.Finding, error) {
	if m.Orphans == nil {
		return nil, nil
	}
	return m.look(ctx, ownerLook, false)
}

// seek looks for orphans of all kinds when it is this monitor's turn, half of its
// patience after the last one's. Each kind is looked for whatever became of the others.
func (m *Monitor) seek(ctx context.Context) (told []job.Finding, err error) {
	if m.Orphans == nil {
		return nil, nil
	}
	mine, err := m.turn(ctx)
	if err != nil || !mine {
		return nil, err
	}
	var faults []error
	for _, l := range orphanLooks {
		found, err := m.look(ctx, l, true)
		told = append(told, found...)
		faults = append(faults, err)
	}
	return told, errors.Join(faults...)
}

func (m *Monitor) turn(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return m.Orphans.TakeTurn(ctx, "orphans", m.Patience/2)
}

// look finds, tells and mends the orphans of one kind, in this order: what is mended
// first might be lost for those who should learn of it. What is told but not mended,
// because we die in between, is found again and mended without being told again. A look
// that found nothing is noted only where it ends what was told.
func (m *Monitor) look(ctx context.Context, l orphanLook, noteNothing bool) ([]job.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	after := l.patience(m.Patience)
	found, err := m.Orphans.FindOrphans(ctx, l.kind, after, orphanLimit)
	if err != nil || len(found) == 0 && !noteNothing {
		return nil, err
	}
	m.Metrics.OrphansSeen(l.kind, len(found))
	noted, err := m.Orphans.NoteFindings(ctx, l.note(found, m.Patience))
	if err != nil {
		return nil, err
	}
	m.tellOrphans(ctx, l.kind, noted)
	if !l.mends {
		return noted.Told, nil
	}
	mended, err := m.Orphans.MendOrphans(ctx, l.kind, after, found)
	if mended > 0 {
		m.Metrics.OrphansMended(l.kind, mended)
		if l.kind == job.OrphanOwner {
			for range mended {
				m.Metrics.WorkerRetired(job.NoOwner)
			}
		}
		m.Log.InfoContext(ctx, "orphans mended", "kind", l.kind, "count", mended)
	}
	return noted.Told, err
}

func (l orphanLook) note(found []job.Finding, patience time.Duration) job.Look {
	n := job.Look{
		Kind: l.kind, Found: found, Partial: len(found) == orphanLimit,
		Event: job.EventOrphanFound, Alert: job.AlertOrphans, Severity: l.severity,
	}
	if !l.mends {
		n.Confirm = patience / 6
	}
	return n
}

// tellOrphans logs what was told now, and what is over.
func (m *Monitor) tellOrphans(ctx context.Context, kind string, n job.Noted) {
	if len(n.Told) > 0 {
		m.Metrics.OrphansFound(kind, len(n.Told))
		first := n.Told[0]
		m.Log.WarnContext(ctx, "orphans found", "kind", kind, "count", len(n.Told), "example", first.Text(), "job_id", fmt.Sprint(first.JobID))
	}
	if len(n.Gone) > 0 {
		m.Log.InfoContext(ctx, "orphans gone", "kind", kind, "count", len(n.Gone))
	}
}
