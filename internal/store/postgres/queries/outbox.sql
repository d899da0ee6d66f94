-- Statements on the outbox: what was committed with a change and must still be sent.
-- Rows are added by the statements that change a job, and by TellNotice.

-- name: TellNotice
-- An event, and what a person must be told with it; $11 is NULL where nobody must.
-- The moment of the notice is the event's. A double of an unsent one takes its place
-- under a new id, as in jobs.sql.
WITH told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, directory, worker_id, fence, actor, from_state, to_state,
        cause, detail)
    VALUES (directorybolt_uuid7(), clock_timestamp(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $12, $13)
    RETURNING at
)
INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
SELECT directorybolt_uuid7(), 'alert', $11, $14::jsonb || jsonb_build_object('at',
           coalesce($14::jsonb ->> 'at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))), at, at
  FROM told
 WHERE $11::text IS NOT NULL
    ON CONFLICT (kind, key) WHERE sent_at IS NULL
    DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
        attempts = 0, created_at = excluded.created_at;

-- name: TakeMessages
-- SKIP LOCKED: two takers never get the same message at once.
WITH due AS MATERIALIZED (
    SELECT id
      FROM outbox
     WHERE sent_at IS NULL AND kind = $3 AND not_before <= statement_timestamp()
     ORDER BY not_before
     LIMIT $1
       FOR UPDATE SKIP LOCKED
)
UPDATE outbox o
   SET attempts = attempts + 1, not_before = clock_timestamp() + $2::bigint * interval '1 microsecond'
  FROM due
 WHERE o.id = due.id
RETURNING o.id, o.kind, o.key, o.payload, o.not_before, o.attempts, o.created_at;

-- name: HideMessages
-- The number of a take is its receipt: who took the message since has a later one.
UPDATE outbox o
   SET not_before = clock_timestamp() + $3::bigint * interval '1 microsecond'
  FROM unnest($1::uuid[], $2::integer[]) AS taken (id, attempts)
 WHERE o.id = taken.id AND o.attempts = taken.attempts AND o.sent_at IS NULL
RETURNING o.id;

-- name: AddHints
INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
SELECT directorybolt_uuid7(), 'hint', job.id::text, jsonb_build_object('v', 1, 'job_id', job.id), clock_timestamp(), clock_timestamp()
  FROM (SELECT DISTINCT unnest($1::uuid[]) AS id) AS job
    ON CONFLICT (kind, key) WHERE sent_at IS NULL
    DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
        attempts = 0, created_at = excluded.created_at;

-- name: MarkMessagesSent
UPDATE outbox
   SET sent_at = clock_timestamp()
 WHERE id = ANY ($1::uuid[]) AND sent_at IS NULL;

-- name: PruneOutbox
DELETE FROM outbox
 WHERE id IN (SELECT id FROM outbox WHERE sent_at < $1::timestamptz LIMIT $2);
