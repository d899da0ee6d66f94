-- Statements on dead letters. The letter of a job is written by the statement that
-- fails the job; see jobs.sql. Every act repeats its condition on the row it changes.

-- name: ListLetters
-- Newest first. A NULL filter selects all.
SELECT l.id, l.job_id, l.kind, l.customer_id, l.value_cents, l.canary, l.cause, l.class, l.signature, l.attempts, l.redrives,
    l.at, l.fate, l.actor, l.reason, l.redriven_at, l.resolved_at, l.message_id, l.body, l.receives, l.sent_at, l.expires_at,
    l.copied_at,
    (SELECT count(*) FROM submissions s WHERE s.order_id = l.job_id AND s.state IN ('submitted', 'live')),
    (SELECT count(*) FROM submissions s WHERE s.order_id = l.job_id AND s.state IN ('planned', 'submitting'))
  FROM dead_letters l
 WHERE ($1::boolean OR l.fate IS NULL)
   AND ($2::text IS NULL OR l.signature = $2)
   AND ($3::uuid IS NULL OR l.customer_id = $3)
   AND ($4::text IS NULL OR l.kind = $4)
   AND ($5::uuid IS NULL OR l.job_id = $5)
   AND ($6::timestamptz IS NULL OR l.at >= $6)
   AND ($7::timestamptz IS NULL OR l.at < $7)
   AND ($8::integer IS NULL OR l.redrives < $8)
   AND ($9::boolean OR NOT l.canary)
   AND ($10::uuid IS NULL OR l.id < $10)
 ORDER BY l.id DESC
 LIMIT $11;

-- name: GetLetter
-- By its own id, or the latest of a job.
SELECT l.id, l.job_id, l.kind, l.customer_id, l.value_cents, l.canary, l.cause, l.class, l.signature, l.attempts, l.redrives,
    l.at, l.fate, l.actor, l.reason, l.redriven_at, l.resolved_at, l.message_id, l.body, l.receives, l.sent_at, l.expires_at,
    l.copied_at,
    (SELECT count(*) FROM submissions s WHERE s.order_id = l.job_id AND s.state IN ('submitted', 'live')),
    (SELECT count(*) FROM submissions s WHERE s.order_id = l.job_id AND s.state IN ('planned', 'submitting'))
  FROM (SELECT * FROM dead_letters WHERE id = $1
        UNION ALL
        SELECT * FROM dead_letters WHERE job_id = $1) l
 ORDER BY l.redrives DESC
 LIMIT 1;

-- name: CountLetters
SELECT count(*) FILTER (WHERE fate IS NULL AND NOT canary),
       count(*) FILTER (WHERE fate IS NULL AND canary),
       count(*) FILTER (WHERE fate IS NULL AND job_id IS NULL),
       count(*) FILTER (WHERE fate = 'redriven'),
       coalesce(sum(value_cents) FILTER (WHERE fate IS NULL AND NOT canary), 0)::bigint,
       count(DISTINCT customer_id) FILTER (WHERE fate IS NULL AND NOT canary),
       min(at) FILTER (WHERE fate IS NULL AND NOT canary),
       max(at) FILTER (WHERE fate IS NULL AND NOT canary)
  FROM dead_letters
 WHERE fate IS NULL OR fate = 'redriven';

-- name: GroupLetters
SELECT signature, count(*), coalesce(sum(value_cents), 0)::bigint, count(DISTINCT customer_id), min(at), max(at),
       (array_agg(job_id ORDER BY id DESC))[1]
  FROM dead_letters
 WHERE ($1::boolean OR fate IS NULL)
   AND ($2::text IS NULL OR signature = $2)
   AND ($3::uuid IS NULL OR customer_id = $3)
   AND ($4::text IS NULL OR kind = $4)
   AND ($5::uuid IS NULL OR job_id = $5)
   AND ($6::timestamptz IS NULL OR at >= $6)
   AND ($7::timestamptz IS NULL OR at < $7)
   AND ($8::integer IS NULL OR redrives < $8)
   AND ($9::boolean OR NOT canary)
 GROUP BY signature
 ORDER BY 2 DESC, 5, 1;

-- name: RedriveLetters
-- The letters are locked in the order of their ids, so that two redrives that share
-- some wait for each other in one direction only, and the second finds them decided.
-- A letter that was purged may be redriven by its id. The job's own guard stands in
-- its UPDATE: a letter whose job left failed by another way stays as it is. So does one
-- whose customer was erased: the job has nothing left to do. An erasure that ends while
-- this waits for it shows in the row of the job alone.
WITH chosen AS MATERIALIZED (
    SELECT l.id, l.job_id
      FROM dead_letters l
     WHERE l.id = ANY ($1::uuid[]) AND l.job_id IS NOT NULL AND (l.fate IS NULL OR l.fate = 'purged')
       AND NOT EXISTS (SELECT FROM customers c WHERE c.id = l.customer_id AND c.erased_at IS NOT NULL)
     ORDER BY l.id
       FOR UPDATE
),
again AS (
    UPDATE jobs j
       SET state = 'pending', due_at = clock_timestamp(), attempt = 0, failures = 0, crashes = 0, quarantined = false,
           redrives = redrives + 1, claimed_at = NULL, progress_at = NULL, finished_at = NULL
      FROM chosen
     WHERE j.id = chosen.job_id AND j.state || '' = 'failed'
       AND NOT (j.customer_id IS NOT NULL AND j.payload = '{}' AND j.cause = 'erased')
    RETURNING j.*, chosen.id AS letter_id
),
decided AS (
    UPDATE dead_letters l
       SET fate = 'redriven', redriven_at = clock_timestamp(), resolved_at = NULL, told_at = NULL, actor = $2, reason = $3
      FROM again
     WHERE l.id = again.letter_id AND (l.fate IS NULL OR l.fate = 'purged')
    RETURNING l.id
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), 'job.redriven', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence,
           $2, 'failed', 'pending', $3,
           jsonb_strip_nulls(jsonb_build_object('redrives', redrives, 'failed_with', cause, 'signature', signature, 'letter_id', letter_id))
      FROM again
),
hinted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'hint', id::text, jsonb_build_object('v', 1, 'job_id', id), due_at, clock_timestamp()
      FROM again
     WHERE $4::boolean
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
),
journalled AS (
    INSERT INTO journal (id, at, actor, reason, act, count, value_cents, job_ids)
    SELECT directorybolt_uuid7(), clock_timestamp(), $2, coalesce($3, ''), 'redrive', count(*),
           sum(CASE WHEN canary THEN 0 ELSE value_cents END), (array_agg(id))[1:10]
      FROM again
     WHERE $2 <> 'system'
    HAVING count(*) > 0
)
SELECT id
  FROM decided;

-- name: LetterOfErased
SELECT EXISTS (SELECT
                 FROM dead_letters l
                 JOIN customers c ON c.id = l.customer_id
                WHERE l.id = ANY ($1::uuid[]) AND l.job_id IS NOT NULL AND c.erased_at IS NOT NULL);

-- name: RedriveOutcomes
-- The row of a job keeps its last failure through a redrive; that it is a new one,
-- the budgets say. A job that was redriven again has left another letter.
SELECT l.id, j.state, CASE
           WHEN j.redrives > l.redrives + 1 THEN (SELECT n.signature
                                                    FROM dead_letters n
                                                   WHERE n.job_id = l.job_id AND n.redrives = l.redrives + 1)
           WHEN j.redrives = l.redrives + 1 AND j.failures + j.crashes > 0 THEN j.signature
       END
  FROM dead_letters l
  JOIN jobs j ON j.id = l.job_id
 WHERE l.id = ANY ($1::uuid[]);

-- name: ResolveLetters
-- $5 is the type of the event; an $6 that is NULL is not journalled. A purged message
-- loses its body, and a purged letter of a job keeps the job, which stays failed.
WITH resolved AS (
    UPDATE dead_letters
       SET fate = $2, resolved_at = clock_timestamp(), actor = $3, reason = $4,
           body = CASE WHEN $2 <> 'purged' THEN body END
     WHERE id = ANY ($1::uuid[]) AND fate IS NULL
    RETURNING *
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, actor, to_state, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), $5, job_id, CASE WHEN kind IN ('order', 'canary') THEN job_id END, customer_id,
           $3, $2, $4, jsonb_strip_nulls(jsonb_build_object('letter_id', id, 'signature', signature, 'message_id', message_id))
      FROM resolved
),
journalled AS (
    INSERT INTO journal (id, at, actor, reason, act, count, value_cents, job_ids)
    SELECT directorybolt_uuid7(), clock_timestamp(), $3, coalesce($4, ''), $6, count(*),
           sum(CASE WHEN canary THEN 0 ELSE value_cents END),
           coalesce((array_agg(job_id) FILTER (WHERE job_id IS NOT NULL))[1:10], '{}')
      FROM resolved
     WHERE $6::text IS NOT NULL
    HAVING count(*) > 0
)
SELECT id
  FROM resolved;

-- name: SettleLetters
-- A job that died again has a letter with one redrive more.
UPDATE dead_letters l
   SET resolved_at = clock_timestamp(), fate = CASE
           WHEN j.redrives > l.redrives + 1 OR j.state = 'failed' THEN 'redriven_failed_again'
           WHEN j.state = 'completed' THEN 'redriven_done'
           ELSE 'redriven_cancelled'
       END
  FROM jobs j
 WHERE l.fate = 'redriven' AND j.id = l.job_id
   AND (j.state IN ('completed', 'cancelled', 'failed') OR j.redrives > l.redrives + 1);

-- name: StaleLetters
-- A person took the job out of failed by another way.
UPDATE dead_letters l
   SET resolved_at = clock_timestamp(), fate = 'stale'
  FROM jobs j
 WHERE l.fate IS NULL AND j.id = l.job_id AND j.state <> 'failed';

-- name: SignaturesInUse
-- Of letters about which something is still to be decided or told.
SELECT signature FROM dead_letters WHERE fate IS NULL OR fate = 'redriven'
 UNION
SELECT signature FROM dead_letters WHERE told_at IS NULL AND resolved_at IS NOT NULL;

-- name: RenameOpenLetters
UPDATE dead_letters
   SET signature = $2
 WHERE id IN (SELECT id FROM dead_letters WHERE signature = $1 AND (fate IS NULL OR fate = 'redriven') LIMIT $3);

-- name: RenameUntoldLetters
UPDATE dead_letters
   SET signature = $2
 WHERE id IN (SELECT id FROM dead_letters WHERE signature = $1 AND told_at IS NULL AND resolved_at IS NOT NULL LIMIT $3);

-- name: ClosedGroups
SELECT d.signature, d.canary, d.fate, count(*), coalesce(sum(d.value_cents), 0)::bigint, max(d.resolved_at),
       coalesce((array_agg(d.job_id) FILTER (WHERE d.job_id IS NOT NULL))[1:10], '{}')
  FROM dead_letters d
 WHERE d.told_at IS NULL AND d.resolved_at IS NOT NULL
   AND NOT EXISTS (SELECT
                     FROM dead_letters o
                    WHERE (o.fate IS NULL OR o.fate = 'redriven') AND o.signature = d.signature AND o.canary = d.canary)
 GROUP BY d.signature, d.canary, d.fate
 ORDER BY d.signature, d.canary, d.fate;

-- name: CloseGroup
-- What is told and that it was told, together. The letters are locked, so that of two
-- monitors one finds them told. A letter of the group that came meanwhile keeps the
-- group open.
WITH told AS (
    UPDATE dead_letters
       SET told_at = clock_timestamp()
     WHERE told_at IS NULL AND resolved_at IS NOT NULL AND signature = $1 AND canary = $2 AND resolved_at <= $3
       AND NOT EXISTS (SELECT
                         FROM dead_letters o
                        WHERE (o.fate IS NULL OR o.fate = 'redriven') AND o.signature = $1 AND o.canary = $2)
    RETURNING id
),
alerted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', $4, $5, clock_timestamp(), clock_timestamp()
     WHERE EXISTS (SELECT FROM told)
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT id
  FROM told;

-- name: TakeLetters
-- SKIP LOCKED: two monitors never copy the same letter at once.
WITH due AS MATERIALIZED (
    SELECT id
      FROM dead_letters
     WHERE fate IS NULL AND copied_at IS NULL AND job_id IS NOT NULL AND copy_due_at <= statement_timestamp()
     ORDER BY copy_due_at
     LIMIT $1
       FOR UPDATE SKIP LOCKED
)
UPDATE dead_letters l
   SET copy_due_at = clock_timestamp() + $2::bigint * interval '1 microsecond'
  FROM due
 WHERE l.id = due.id
RETURNING l.id, l.job_id, l.kind, l.customer_id, l.value_cents, l.canary, l.cause, l.class, l.signature, l.attempts, l.redrives,
    l.at, l.fate, l.actor, l.reason, l.redriven_at, l.resolved_at, l.message_id, l.body, l.receives, l.sent_at, l.expires_at,
    l.copied_at, 0, 0;

-- name: MarkLettersCopied
UPDATE dead_letters
   SET copied_at = clock_timestamp()
 WHERE id = ANY ($1::uuid[]) AND copied_at IS NULL;

-- name: NoteSightings
WITH seen AS MATERIALIZED (
    SELECT *
      FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::timestamptz[], $5::timestamptz[], $6::integer[])
        AS s (job_id, message_id, receives, sent_at, expires_at, place)
),
noted AS (
    UPDATE dead_letters l
       SET message_id = seen.message_id, receives = seen.receives, sent_at = seen.sent_at, expires_at = seen.expires_at,
           copied_at = coalesce(copied_at, clock_timestamp())
      FROM seen
     WHERE l.job_id = seen.job_id AND l.fate IS NULL
    RETURNING l.job_id
)
SELECT CASE
           WHEN seen.job_id IN (SELECT job_id FROM noted) THEN 'open'
           WHEN EXISTS (SELECT FROM jobs j WHERE j.id = seen.job_id) THEN 'stale'
           ELSE 'unknown'
       END
  FROM seen
 ORDER BY seen.place;

-- name: KeepMessage
-- xmax tells a row that was inserted from one that was there.
WITH kept AS (
    INSERT INTO dead_letters (id, cause, class, signature, at, copy_due_at, message_id, body, receives, sent_at, expires_at)
    SELECT directorybolt_uuid7(), $3, $4, $5, now.at, now.at, $1, $2, $6, $7, $8
      FROM (SELECT clock_timestamp() AS at OFFSET 0) AS now
        ON CONFLICT (message_id) WHERE job_id IS NULL
        DO UPDATE SET receives = excluded.receives, expires_at = excluded.expires_at
    RETURNING *, xmax = 0 AS fresh
),
told AS (
    INSERT INTO events (id, at, type, actor, cause, detail)
    SELECT directorybolt_uuid7(), at, 'letter.seen', 'system', cause,
           jsonb_strip_nulls(jsonb_build_object('letter_id', id, 'message_id', message_id, 'signature', signature,
               'receives', receives, 'expires_at', to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
      FROM kept
     WHERE fresh
),
alerted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', $9, $10, at, at
      FROM kept
     WHERE fresh
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT CASE WHEN fresh THEN 'kept' WHEN fate IN ('purged', 'moved') THEN 'stale' ELSE 'open' END
  FROM kept;

-- name: ExpiringLetters
SELECT l.id, l.job_id, l.kind, l.customer_id, l.value_cents, l.canary, l.cause, l.class, l.signature, l.attempts, l.redrives,
    l.at, l.fate, l.actor, l.reason, l.redriven_at, l.resolved_at, l.message_id, l.body, l.receives, l.sent_at, l.expires_at,
    l.copied_at, 0, 0
  FROM dead_letters l
 WHERE l.fate IS NULL AND l.warned_at IS NULL
   AND l.expires_at <= statement_timestamp() + $1::bigint * interval '1 microsecond'
 ORDER BY l.expires_at
 LIMIT $2;

-- name: WarnExpiring
WITH warned AS (
    UPDATE dead_letters
       SET warned_at = clock_timestamp()
     WHERE id = ANY ($1::uuid[]) AND fate IS NULL AND warned_at IS NULL
    RETURNING *
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, actor, cause, detail)
    SELECT directorybolt_uuid7(), warned_at, 'letter.expiring', job_id, CASE WHEN kind IN ('order', 'canary') THEN job_id END,
           customer_id, 'system', cause,
           jsonb_strip_nulls(jsonb_build_object('letter_id', id, 'message_id', message_id,
               'expires_at', to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
      FROM warned
),
alerted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', $2, $3, clock_timestamp(), clock_timestamp()
     WHERE EXISTS (SELECT FROM warned)
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT id
  FROM warned;

-- name: CloseWarnings
-- The letters that are warned of are read as they were: those of this statement are
-- told apart by their condition.
WITH closed AS (
    UPDATE dead_letters
       SET warned_at = NULL
     WHERE warned_at IS NOT NULL
       AND (fate IS NOT NULL OR expires_at IS NULL
            OR expires_at > statement_timestamp() + $1::bigint * interval '1 microsecond')
    RETURNING id
),
alerted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', $2, $3, clock_timestamp(), clock_timestamp()
     WHERE EXISTS (SELECT FROM closed)
       AND NOT EXISTS (SELECT
                         FROM dead_letters
                        WHERE warned_at IS NOT NULL AND fate IS NULL
                          AND expires_at <= statement_timestamp() + $1::bigint * interval '1 microsecond')
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT id
  FROM closed;

-- name: ExpireLetters
-- Messages that name no job end here; the body is in the row.
WITH expired AS (
    UPDATE dead_letters
       SET fate = 'expired', resolved_at = clock_timestamp()
     WHERE fate IS NULL AND job_id IS NULL AND expires_at <= statement_timestamp()
    RETURNING *
),
told AS (
    INSERT INTO events (id, at, type, actor, to_state, cause, detail)
    SELECT directorybolt_uuid7(), resolved_at, 'letter.expired', 'system', fate, cause,
           jsonb_build_object('letter_id', id, 'message_id', message_id, 'signature', signature)
      FROM expired
)
SELECT id
  FROM expired;

-- name: RenewCopies
-- The queue dropped the copy of a letter that is still open.
UPDATE dead_letters
   SET copied_at = NULL, message_id = NULL, sent_at = NULL, expires_at = NULL, copy_due_at = clock_timestamp()
 WHERE fate IS NULL AND job_id IS NOT NULL AND expires_at <= statement_timestamp();

-- name: PruneLetters
DELETE FROM dead_letters
 WHERE id IN (SELECT id FROM dead_letters WHERE told_at < $1::timestamptz AND resolved_at < $1::timestamptz LIMIT $2);

-- name: ListJournal
SELECT id, at, actor, reason, act, count, value_cents, job_ids, subject
  FROM journal
 WHERE $1::uuid IS NULL OR id < $1
 ORDER BY id DESC
 LIMIT $2;
