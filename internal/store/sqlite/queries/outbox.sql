-- Statements on the outbox: what was committed with a change and must still be sent.

-- name: AddMessages
-- A double of an unsent message takes its place under a new id: whoever carries
-- the old one away right now does not mark the new one sent.
INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (kind, key) WHERE sent_at IS NULL
    DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
        attempts = 0, created_at = excluded.created_at;

-- name: TellNotice
-- The moment of a notice that names none (?5) is that of its event.
INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
VALUES (?1, 'alert', ?2, json_set(?3, '$.at', coalesce(?3 ->> 'at', ?5)), ?4, ?4)
    ON CONFLICT (kind, key) WHERE sent_at IS NULL
    DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
        attempts = 0, created_at = excluded.created_at;

-- name: TakeMessages
UPDATE outbox
   SET attempts = attempts + 1, not_before = ?2
 WHERE rowid IN (
    SELECT rowid FROM outbox WHERE sent_at IS NULL AND kind = ?4 AND not_before <= ?1 ORDER BY not_before LIMIT ?3)
RETURNING id, kind, key, payload, not_before, attempts, created_at;

-- name: HideMessages
-- The number of a take is its receipt: who took the message since has a later one.
UPDATE outbox
   SET not_before = ?3
 WHERE id = ?1 AND attempts = ?2 AND sent_at IS NULL;

-- name: MarkMessagesSent
UPDATE outbox
   SET sent_at = ?1
 WHERE id IN (SELECT value FROM json_each(?2)) AND sent_at IS NULL;

-- name: PruneOutbox
DELETE FROM outbox
 WHERE rowid IN (SELECT rowid FROM outbox WHERE sent_at < ?1 LIMIT ?2);
