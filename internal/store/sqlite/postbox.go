package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
)

// SettleLetters implements [job.Postbox]. It looks before it writes: the monitor asks
// every second, and a write would wait for all others.
func (s *Store) SettleLetters(ctx context.Context) (settled int64, err error) {
	due, err := one(s.read(ctx), scanBool, q.UnsettledLetters)
	if err != nil {
		return 0, fmt.Errorf("settle letters: %w", s.explain(err))
	}
	if !due {
		return 0, nil
	}
	err = s.write(ctx, func(t *tx) error {
		settled = 0
		for _, text := range []string{q.SettleLetters, q.StaleLetters} {
			n, err := t.exec(text, t.now)
			if err != nil {
				return err
			}
			settled += n
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("settle letters: %w", err)
	}
	return settled, nil
}

// TidySignatures implements [job.Postbox].
func (s *Store) TidySignatures(ctx context.Context) (renamed int64, err error) {
	used, err := all(s.read(ctx), scanText, q.SignaturesInUse)
	if err != nil {
		return 0, fmt.Errorf("list signatures of letters: %w", s.explain(err))
	}
	renamed, err = store.Tidy(used, func(from, to string, limit int) (n int64, err error) {
		err = s.write(ctx, func(t *tx) error {
			n = 0
			for _, text := range []string{q.RenameOpenLetters, q.RenameUntoldLetters} {
				moved, err := t.exec(text, from, to, limit)
				if err != nil {
					return err
				}
				n += moved
			}
			return nil
		})
		return n, err
	})
	if err != nil {
		return renamed, fmt.Errorf("tidy signatures of letters: %w", err)
	}
	return renamed, nil
}

// ClosedGroups implements [job.Postbox].
func (s *Store) ClosedGroups(ctx context.Context) ([]job.ClosedGroup, error) {
	rows, err := all(s.read(ctx), func(r row) (f store.FateRow, err error) {
		var ids json.RawMessage
		err = r.Scan(&f.Signature, &f.Canary, (*string)(&f.Fate), &f.Count, &f.ValueCents, moment{&f.Until}, document{&ids})
		if err != nil {
			return f, err
		}
		return f, json.Unmarshal(ids, &f.JobIDs)
	}, q.ClosedGroups)
	if err != nil {
		return nil, fmt.Errorf("list closed groups of letters: %w", s.explain(err))
	}
	return store.ClosedGroups(rows), nil
}

// CloseGroup implements [job.Postbox].
func (s *Store) CloseGroup(ctx context.Context, g job.ClosedGroup, n job.Notice) (told bool, err error) {
	err = s.write(ctx, func(t *tx) error {
		changed, err := t.exec(q.CloseGroup, t.now, g.Signature, g.Canary, g.Until.UnixMicro())
		told = changed > 0
		if err != nil || !told {
			return err
		}
		return t.notice(n)
	})
	if err != nil {
		return false, fmt.Errorf("close a group of letters: %w", err)
	}
	return told, nil
}

// notice commits what people must be told.
func (t *tx) notice(n job.Notice) error {
	return t.send(job.MessageAlert, n.Key, string(store.NoticeJSON(n)), t.now)
}

// TakeLetters implements [job.Postbox].
func (s *Store) TakeLetters(ctx context.Context, limit int, hide time.Duration) (taken []job.Letter, err error) {
	err = s.write(ctx, func(t *tx) (err error) {
		taken, err = all(t, scanLetter, q.TakeLetters, t.now, t.now+hide.Microseconds(), limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("take letters to copy: %w", err)
	}
	return taken, nil
}

// MarkCopied implements [job.Postbox].
func (s *Store) MarkCopied(ctx context.Context, ids ...job.ID) error {
	if len(ids) == 0 {
		return nil
	}
	err := s.write(ctx, func(t *tx) error {
		_, err := t.exec(q.MarkLettersCopied, t.now, list(ids))
		return err
	})
	if err != nil {
		return fmt.Errorf("mark letters copied: %w", err)
	}
	return nil
}

// NoteSightings implements [job.Postbox].
func (s *Store) NoteSightings(ctx context.Context, seen []job.Sighting) ([]job.Meaning, error) {
	if len(seen) == 0 {
		return nil, nil
	}
	means := make([]job.Meaning, len(seen))
	err := s.write(ctx, func(t *tx) (err error) {
		for i, x := range seen {
			if means[i], err = t.sight(x); err != nil {
				return fmt.Errorf("job %s: %w", x.JobID, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("note messages of the dead letter queue: %w", err)
	}
	return means, nil
}

func (t *tx) sight(x job.Sighting) (job.Meaning, error) {
	n, err := t.exec(q.NoteSightings, t.now, x.JobID.String(), clean(x.MessageID), x.Receives, microsOrNull(x.SentAt), microsOrNull(x.ExpiresAt))
	if err != nil || n > 0 {
		return job.MeansOpen, err
	}
	known, err := all(t, scanJob, q.GetJob, x.JobID.String())
	if len(known) == 0 {
		return job.MeansUnknown, err
	}
	return job.MeansStale, err
}

// KeepMessage implements [job.Postbox].
func (s *Store) KeepMessage(ctx context.Context, m job.DeadMessage, n job.Notice) (means job.Meaning, err error) {
	err = s.write(ctx, func(t *tx) (err error) {
		means, err = t.keep(m, n)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("keep message %s: %w", m.MessageID, err)
	}
	return means, nil
}

func (t *tx) keep(m job.DeadMessage, n job.Notice) (job.Meaning, error) {
	known, err := all(t, func(r row) (f job.Fate, err error) {
		err = r.Scan(maybe[string]{(*string)(&f)})
		return f, err
	}, q.KnownMessage, clean(m.MessageID))
	if err != nil {
		return "", err
	}
	l := job.Letter{
		ID: job.NewID(), Cause: clean(m.Cause), Signature: clean(m.Signature), MessageID: clean(m.MessageID),
		Receives: m.Receives, ExpiresAt: m.ExpiresAt,
	}
	_, err = t.exec(q.KeepMessage, t.now, l.ID.String(), l.Cause, clean(m.Class), l.Signature, l.MessageID, m.Body, m.Receives,
		microsOrNull(m.SentAt), microsOrNull(m.ExpiresAt))
	switch {
	case err != nil:
		return "", err
	case len(known) == 0:
		if err := t.recordLetters(job.EventLetterSeen, job.By{}, []job.Letter{l}); err != nil {
			return "", err
		}
		return job.MeansKept, t.notice(n)
	case known[0] == job.FatePurged || known[0] == job.FateMoved:
		return job.MeansStale, nil
	}
	return job.MeansOpen, nil
}

// ExpiringLetters implements [job.Postbox].
func (s *Store) ExpiringLetters(ctx context.Context, within time.Duration, limit int) ([]job.Letter, error) {
	letters, err := all(s.read(ctx), scanLetter, q.ExpiringLetters, s.clock().Add(within).UnixMicro(), limit)
	if err != nil {
		return nil, fmt.Errorf("list expiring letters: %w", s.explain(err))
	}
	return letters, nil
}

// WarnExpiring implements [job.Postbox].
func (s *Store) WarnExpiring(ctx context.Context, ids []job.ID, n job.Notice) (warned int64, err error) {
	err = s.write(ctx, func(t *tx) error {
		letters, err := all(t, scanLetter, q.WarnExpiring, t.now, list(ids))
		warned = int64(len(letters))
		if err != nil || warned == 0 {
			return err
		}
		if err := t.recordLetters(job.EventLetterExpiring, job.By{}, letters); err != nil {
			return err
		}
		return t.notice(n)
	})
	if err != nil {
		return 0, fmt.Errorf("warn of expiring letters: %w", err)
	}
	return warned, nil
}

// CloseWarnings implements [job.Postbox].
func (s *Store) CloseWarnings(ctx context.Context, within time.Duration, n job.Notice) (closed int64, err error) {
	err = s.write(ctx, func(t *tx) (err error) {
		closed, err = t.exec(q.CloseWarnings, t.now+within.Microseconds())
		if err != nil || closed == 0 {
			return err
		}
		left, err := one(t, scanBool, q.WarnedLetters)
		if err != nil || left {
			return err
		}
		return t.notice(n)
	})
	if err != nil {
		return 0, fmt.Errorf("close warnings of letters: %w", err)
	}
	return closed, nil
}

// ExpireLetters implements [job.Postbox].
func (s *Store) ExpireLetters(ctx context.Context) (expired int64, err error) {
	err = s.write(ctx, func(t *tx) error {
		letters, err := all(t, scanLetter, q.ExpireLetters, t.now)
		expired = int64(len(letters))
		if err != nil {
			return err
		}
		if err := t.recordLetters(job.EventLetterExpired, job.By{}, letters); err != nil {
			return err
		}
		_, err = t.exec(q.RenewCopies, t.now)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("expire letters: %w", err)
	}
	return expired, nil
}
