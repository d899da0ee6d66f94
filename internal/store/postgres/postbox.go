package postgres

import (
	"context"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/jackc/pgx/v5"
)

// SettleLetters gives fates to letters whose job has come to an end.
func (s *Store) SettleLetters(ctx context.Context) (int64, error) {
	settled, err := changed(ctx, s, "settle redriven letters", "SettleLetters")
	if err != nil {
		return settled, err
	}
	stale, err := changed(ctx, s, "settle stale letters", "StaleLetters")
	return settled + stale, err
}

// TidySignatures brings letters into the group that alerts name.
func (s *Store) TidySignatures(ctx context.Context) (renamed int64, err error) {
	used, err := all(ctx, s, "list signatures of letters", "SignaturesInUse", scanText)
	if err != nil {
		return 0, err
	}
	return store.Tidy(used, func(from, to string, limit int) (n int64, err error) {
		for _, statement := range []string{"RenameOpenLetters", "RenameUntoldLetters"} {
			moved, err := changed(ctx, s, "tidy a signature", statement, from, to, limit)
			if err != nil {
				return n, err
			}
			n += moved
		}
		return n, nil
	})
}

// ClosedGroups lists groups of which nobody was told how they ended.
func (s *Store) ClosedGroups(ctx context.Context) ([]job.ClosedGroup, error) {
	rows, err := all(ctx, s, "list closed groups of letters", "ClosedGroups", func(row pgx.CollectableRow) (r store.FateRow, err error) {
		err = row.Scan(&r.Signature, &r.Canary, (*nullText)(&r.Fate), &r.Count, &r.ValueCents, (*nullTime)(&r.Until), &r.JobIDs)
		return r, err
	})
	return store.ClosedGroups(rows), err
}

// CloseGroup commits that a group's end is told, and the telling.
func (s *Store) CloseGroup(ctx context.Context, g job.ClosedGroup, n job.Notice) (bool, error) {
	told, err := changed(ctx, s, "close a group of letters", "CloseGroup", g.Signature, g.Canary, g.Until, n.Key, store.NoticeJSON(n))
	return told > 0, err
}

// TakeLetters hands out letters without a copy and hides them for a while.
func (s *Store) TakeLetters(ctx context.Context, limit int, hide time.Duration) ([]job.Letter, error) {
	return all(ctx, s, "take letters to copy", "TakeLetters", scanLetter, limit, delay(hide))
}

// MarkCopied remembers that letters have a copy.
func (s *Store) MarkCopied(ctx context.Context, ids ...job.ID) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := changed(ctx, s, "mark letters copied", "MarkLettersCopied", dbIDs(ids))
	return err
}

// NoteSightings remembers when copies expire, and tells what each is.
func (s *Store) NoteSightings(ctx context.Context, seen []job.Sighting) ([]job.Meaning, error) {
	if len(seen) == 0 {
		return nil, nil
	}
	n := len(seen)
	jobs, messages, receives := make([][16]byte, n), make([]string, n), make([]int32, n)
	sent, expires, places := make([]any, n), make([]any, n), make([]int32, n)
	for i, x := range seen {
		jobs[i], messages[i], receives[i], places[i] = x.JobID, plain(x.MessageID), int32(x.Receives), int32(i)
		sent[i], expires[i] = dbTime(x.SentAt), dbTime(x.ExpiresAt)
	}
	return all(ctx, s, "note messages of the dead letter queue", "NoteSightings", scanMeaning, jobs, messages, receives, sent, expires, places)
}

func scanMeaning(row pgx.CollectableRow) (m job.Meaning, err error) {
	err = row.Scan((*nullText)(&m))
	return m, err
}

// KeepMessage makes a letter of a message.
func (s *Store) KeepMessage(ctx context.Context, m job.DeadMessage, n job.Notice) (job.Meaning, error) {
	return one(ctx, s, "keep message "+m.MessageID, "KeepMessage", scanMeaning, plain(m.MessageID), m.Body, plain(m.Cause), plain(m.Class),
		plain(m.Signature), m.Receives, dbTime(m.SentAt), dbTime(m.ExpiresAt), n.Key, store.NoticeJSON(n))
}

// ExpiringLetters lists open letters whose message is deleted soon.
func (s *Store) ExpiringLetters(ctx context.Context, within time.Duration, limit int) ([]job.Letter, error) {
	return all(ctx, s, "list expiring letters", "ExpiringLetters", scanLetter, micros(within), limit)
}

// WarnExpiring commits that people are told of letters, and the telling.
func (s *Store) WarnExpiring(ctx context.Context, ids []job.ID, n job.Notice) (int64, error) {
	return changed(ctx, s, "warn of expiring letters", "WarnExpiring", dbIDs(ids), n.Key, store.NoticeJSON(n))
}

// CloseWarnings forgets warnings, and tells when none is left.
func (s *Store) CloseWarnings(ctx context.Context, within time.Duration, n job.Notice) (int64, error) {
	return changed(ctx, s, "close warnings of letters", "CloseWarnings", micros(within), n.Key, store.NoticeJSON(n))
}

// ExpireLetters ends what the queue has deleted.
func (s *Store) ExpireLetters(ctx context.Context) (int64, error) {
	expired, err := changed(ctx, s, "expire letters", "ExpireLetters")
	if err != nil {
		return expired, err
	}
	_, err = changed(ctx, s, "renew copies of letters", "RenewCopies")
	return expired, err
}
