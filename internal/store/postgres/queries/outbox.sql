-- Statements on the outbox: what was committed with a job's change and must still
-- be sent. Rows are added by the statements that change the job.

-- name: TakeMessages
-- SKIP LOCKED: two takers never get the same message at once.
WITH due AS MATERIALIZED (
    SELECT id
      FROM outbox
     WHERE sent_at IS NULL AND not_before <= statement_timestamp()
     ORDER BY not_before
     LIMIT $1
       FOR UPDATE SKIP LOCKED
)
UPDATE outbox o
   SET attempts = attempts + 1, not_before = clock_timestamp() + $2::bigint * interval '1 microsecond'
  FROM due
 WHERE o.id = due.id
RETURNING o.id, o.kind, o.key, o.payload, o.not_before, o.attempts, o.created_at;

-- name: MarkMessagesSent
UPDATE outbox
   SET sent_at = clock_timestamp()
 WHERE id = ANY ($1::uuid[]) AND sent_at IS NULL;

-- name: PruneOutbox
DELETE FROM outbox
 WHERE id IN (SELECT id FROM outbox WHERE sent_at < $1::timestamptz LIMIT $2);
