-- Statements on jobs. Every write about a running job names id, fence and state;
-- no row changed means that the lease is lost. statement_timestamp() compares,
-- clock_timestamp() grants. Neither is qualified: tests put a clock of their own
-- before them in the search path.
--
-- Where a row is named by its id, its state is compared as state || '', which no
-- partial index matches: the planner may believe that few jobs are in progress, and
-- walk jobs_for_recovery, with an entry for each job that ever was, instead of going
-- straight to the one row.
--
-- Where a double of an unsent outbox message is written, it takes the place of the
-- earlier one under a new id: whoever carries the earlier one away right now does
-- not mark the new one sent.

-- name: EnqueueJob
-- One job that is a row and nothing more: no key, no event, no hint. Without arrays
-- and CTEs it costs half of what EnqueueJobs does. $13 wakes other processes when
-- this commits, without a round trip and a commit of their own; empty: not now.
INSERT INTO jobs (id, kind, priority, due_at, customer_id, package, quota, value_cents, canary, payload,
    max_attempts, crash_budget, created_at)
SELECT $1, $2, $3, now.at + $4::bigint * interval '1 microsecond', $5, $6, $7, $8, $9, $10, $11, $12, now.at
  FROM (SELECT clock_timestamp() AS at OFFSET 0) AS now
RETURNING CASE WHEN $13::text <> '' THEN pg_notify('directorybolt_jobs', $13)::text END;

-- name: EnqueueJobs
-- Delays are microseconds. $16 wakes other processes, as in EnqueueJob. A row whose idempotency key is known is not added;
-- rows come ordered by key, so that two callers with the same keys cannot deadlock.
WITH now AS MATERIALIZED (SELECT clock_timestamp() AS at),
spec AS MATERIALIZED (
    SELECT *
      FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::bigint[], $5::text[], $6::uuid[], $7::text[], $8::integer[],
               $9::bigint[], $10::boolean[], $11::jsonb[], $12::integer[], $13::integer[], $14::text[])
        AS s (id, kind, priority, delay, idempotency_key, customer_id, package, quota,
              value_cents, canary, payload, max_attempts, crash_budget, actor)
),
added AS (
    INSERT INTO jobs (id, kind, priority, due_at, idempotency_key, customer_id, package, quota,
        value_cents, canary, payload, max_attempts, crash_budget, created_at)
    SELECT id, kind, priority, now.at + delay * interval '1 microsecond', idempotency_key, customer_id, package, quota,
           value_cents, canary, payload, max_attempts, crash_budget, now.at
      FROM spec, now
        ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING id, kind, customer_id, due_at, created_at
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, actor, to_state, detail)
    SELECT directorybolt_uuid7(), a.created_at, 'order.created', a.id, a.id, a.customer_id, s.actor, 'pending',
           jsonb_strip_nulls(jsonb_build_object('package', s.package, 'quota', s.quota, 'value_cents', s.value_cents,
               'canary', nullif(s.canary, false), 'trace_id', nullif(split_part(s.payload ->> 'trace', '-', 2), '')))
      FROM added a
      JOIN spec s USING (id)
     WHERE a.kind IN ('order', 'canary')
),
hinted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'hint', id::text, jsonb_build_object('v', 1, 'job_id', id), due_at, clock_timestamp()
      FROM added
     WHERE $15::boolean
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT id, CASE WHEN $16::text <> '' THEN pg_notify('directorybolt_jobs', $16)::text END
  FROM added;

-- name: EnqueuedBefore
-- A statement of its own, after EnqueueJobs: it sees what another caller committed
-- while ours waited for that caller's key.
SELECT idempotency_key, id
  FROM jobs
 WHERE idempotency_key = ANY ($1::text[]);

-- name: ClaimJobs
-- One range of jobs_for_claim for each priority, begun after what this handle has
-- claimed already, so that the dead prefix is not walked again. The outer LIMIT ends
-- the walk, and only rows that came this far are locked; the inner one tells the
-- planner that few are wanted, or it would sort them all. SKIP LOCKED: two claims at
-- once never wait for each other and never take the same job; a row that changed
-- since the snapshot is read again after its lock. The rows are ours until the end
-- of the statement, so their places (ctid) hold and spare a second index descent.
WITH next AS MATERIALIZED (
    SELECT due.place
      FROM unnest($4::smallint[], $5::timestamptz[], $6::uuid[]) AS after (priority, due_at, id)
     CROSS JOIN LATERAL (
        SELECT j.ctid AS place
          FROM jobs j
         WHERE j.state = 'pending' AND NOT j.quarantined
           AND j.priority = after.priority
           AND (j.due_at, j.id) > (after.due_at, after.id)
           AND j.due_at <= statement_timestamp()
           AND j.kind = ANY ($3::text[])
           AND (NOT EXISTS (SELECT FROM pauses)
                OR NOT EXISTS (SELECT FROM pauses p
                                WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id)))
         ORDER BY j.due_at, j.id
         LIMIT $2
           FOR UPDATE SKIP LOCKED) due
     WHERE EXISTS (SELECT FROM workers WHERE id = $1 AND retired_at IS NULL AND lease_until > statement_timestamp())
     LIMIT $2
),
claimed AS (
    UPDATE jobs
       SET state = 'in_progress', fence = fence + 1, attempt = attempt + 1, worker_id = $1,
           claimed_at = clock_timestamp(), progress_at = clock_timestamp()
     WHERE ctid = ANY (ARRAY (SELECT place FROM next))
    RETURNING id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, detail)
    SELECT directorybolt_uuid7(), claimed_at, 'job.claimed', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id,
           worker_id, fence, 'worker:' || worker_id, 'pending', 'in_progress', jsonb_build_object('attempt', attempt)
      FROM claimed
     WHERE kind IN ('order', 'canary', 'recheck')
)
SELECT id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key,
    statement_timestamp()
  FROM claimed;

-- name: ClaimOldest
-- The oldest due of any priority: a short range of each, then the oldest of these.
-- They are found without a lock; the second step locks them and asks again.
WITH oldest AS MATERIALIZED (
    SELECT due.place
      FROM unnest($4::smallint[], $5::timestamptz[], $6::uuid[]) AS after (priority, due_at, id)
     CROSS JOIN LATERAL (
        SELECT j.ctid AS place, j.id, j.due_at
          FROM jobs j
         WHERE j.state = 'pending' AND NOT j.quarantined
           AND j.priority = after.priority
           AND (j.due_at, j.id) > (after.due_at, after.id)
           AND j.due_at <= statement_timestamp()
           AND j.kind = ANY ($3::text[])
           AND (NOT EXISTS (SELECT FROM pauses)
                OR NOT EXISTS (SELECT FROM pauses p
                                WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id)))
         ORDER BY j.due_at, j.id
         LIMIT $2) due
     WHERE EXISTS (SELECT FROM workers WHERE id = $1 AND retired_at IS NULL AND lease_until > statement_timestamp())
     ORDER BY due.due_at, due.id
     LIMIT $2
),
next AS MATERIALIZED (
    SELECT ctid AS place
      FROM jobs
     WHERE ctid = ANY (ARRAY (SELECT place FROM oldest))
       AND state || '' = 'pending' AND NOT quarantined AND due_at <= statement_timestamp()
       FOR UPDATE SKIP LOCKED
),
claimed AS (
    UPDATE jobs
       SET state = 'in_progress', fence = fence + 1, attempt = attempt + 1, worker_id = $1,
           claimed_at = clock_timestamp(), progress_at = clock_timestamp()
     WHERE ctid = ANY (ARRAY (SELECT place FROM next))
    RETURNING id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, detail)
    SELECT directorybolt_uuid7(), claimed_at, 'job.claimed', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id,
           worker_id, fence, 'worker:' || worker_id, 'pending', 'in_progress', jsonb_build_object('attempt', attempt)
      FROM claimed
     WHERE kind IN ('order', 'canary', 'recheck')
)
SELECT id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key,
    statement_timestamp()
  FROM claimed;

-- name: ClaimQuarantined
WITH next AS MATERIALIZED (
    SELECT j.ctid AS place
      FROM jobs j
     WHERE j.state = 'pending' AND j.quarantined
       AND j.due_at <= statement_timestamp()
       AND j.kind = ANY ($3::text[])
       AND (NOT EXISTS (SELECT FROM pauses)
                OR NOT EXISTS (SELECT FROM pauses p
                                WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id)))
       AND EXISTS (SELECT FROM workers WHERE id = $1 AND retired_at IS NULL AND lease_until > statement_timestamp())
     ORDER BY j.due_at, j.id
     LIMIT $2
       FOR UPDATE OF j SKIP LOCKED
),
claimed AS (
    UPDATE jobs
       SET state = 'in_progress', fence = fence + 1, attempt = attempt + 1, worker_id = $1,
           claimed_at = clock_timestamp(), progress_at = clock_timestamp()
     WHERE ctid = ANY (ARRAY (SELECT place FROM next))
    RETURNING id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, detail)
    SELECT directorybolt_uuid7(), claimed_at, 'job.claimed', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id,
           worker_id, fence, 'worker:' || worker_id, 'pending', 'in_progress', jsonb_build_object('attempt', attempt)
      FROM claimed
     WHERE kind IN ('order', 'canary', 'recheck')
)
SELECT id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key,
    statement_timestamp()
  FROM claimed;

-- name: HasQuarantined
SELECT EXISTS (
    SELECT
      FROM jobs j
     WHERE j.state = 'pending' AND j.quarantined
       AND j.due_at <= statement_timestamp()
       AND j.kind = ANY ($1::text[])
       AND (NOT EXISTS (SELECT FROM pauses)
                OR NOT EXISTS (SELECT FROM pauses p
                                WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id))));

-- name: CompleteJobs
-- Leases come ordered by id, so that two batches that share jobs lock them in the
-- same order.
WITH done AS (
    UPDATE jobs j
       SET state = 'completed', finished_at = clock_timestamp()
      FROM unnest($1::uuid[], $2::bigint[]) AS lease (id, fence)
     WHERE j.id = lease.id AND j.fence = lease.fence AND j.state || '' = 'in_progress'
    RETURNING j.id, j.fence, j.kind, j.customer_id, j.worker_id, j.attempt, j.finished_at
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, detail)
    SELECT directorybolt_uuid7(), finished_at, 'job.completed', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id,
           worker_id, fence, 'worker:' || worker_id, 'in_progress', 'completed', jsonb_build_object('attempt', attempt)
      FROM done
     WHERE kind IN ('order', 'canary', 'recheck')
)
SELECT id, fence
  FROM done;

-- name: FailJob
-- The row is locked and its guard checked before it changes: the event tells when
-- the attempt began, which the new row no longer says. The UPDATE repeats the guard.
WITH held AS MATERIALIZED (
    SELECT id, claimed_at, attempt, $3::boolean OR failures + 1 >= max_attempts AS dead
      FROM jobs
     WHERE id = $1 AND fence = $2 AND state || '' = 'in_progress'
       FOR UPDATE
),
ended AS (
    UPDATE jobs j
       SET state = CASE WHEN dead THEN 'failed' ELSE 'pending' END,
           failures = failures + 1,
           due_at = CASE WHEN dead THEN due_at ELSE clock_timestamp() + $4::bigint * interval '1 microsecond' END,
           finished_at = CASE WHEN dead THEN clock_timestamp() END,
           claimed_at = CASE WHEN dead THEN j.claimed_at END,
           progress_at = CASE WHEN dead THEN progress_at END,
           cause = $5, class = $6, signature = $7
      FROM held
     WHERE j.id = held.id AND j.fence = $2 AND j.state || '' = 'in_progress'
    RETURNING j.*, held.claimed_at AS was_claimed_at, held.attempt AS was_attempt
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), CASE state WHEN 'failed' THEN 'job.failed' ELSE 'job.retried' END,
           id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence, $8, 'in_progress', state, cause,
           jsonb_strip_nulls(jsonb_build_object(
               'claimed_at', to_char(was_claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'attempt', was_attempt, 'class', class, 'signature', signature))
      FROM ended
),
lettered AS (
    INSERT INTO dead_letters (id, job_id, kind, customer_id, value_cents, canary, cause, class, signature, attempts, redrives,
        at, copy_due_at)
    SELECT directorybolt_uuid7(), id, kind, customer_id, value_cents, canary, cause, class, signature, attempt, redrives,
           finished_at, finished_at
      FROM ended
     WHERE state = 'failed'
),
alerted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', 'dead_letter:' || id,
           jsonb_strip_nulls(jsonb_build_object('v', 1, 'alert', 'dead_letters', 'group', signature,
               'value_cents', nullif(value_cents, 0), 'canary', nullif(canary, false), 'job_ids', jsonb_build_array(id),
               'customer_id', customer_id, 'job_kind', kind, 'redrives', nullif(redrives, 0),
               'cause', cause, 'class', class, 'signature', signature,
               'at', to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))),
           finished_at, finished_at
      FROM ended
     WHERE state = 'failed'
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
),
hinted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'hint', id::text, jsonb_build_object('v', 1, 'job_id', id), due_at, clock_timestamp()
      FROM ended
     WHERE $9::boolean AND state = 'pending'
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT state
  FROM ended;

-- name: ReleaseJobs
WITH held AS MATERIALIZED (
    SELECT j.id, j.fence, j.claimed_at, j.attempt
      FROM jobs j
      JOIN unnest($1::uuid[], $2::bigint[]) AS lease (id, fence) ON j.id = lease.id AND j.fence = lease.fence
     WHERE j.state || '' = 'in_progress'
     ORDER BY j.id
       FOR UPDATE OF j
),
ended AS (
    UPDATE jobs j
       SET state = 'pending', attempt = j.attempt - 1, claimed_at = NULL, progress_at = NULL
      FROM held
     WHERE j.id = held.id AND j.fence = held.fence AND j.state || '' = 'in_progress'
    RETURNING j.*, held.claimed_at AS was_claimed_at, held.attempt AS was_attempt
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), 'job.released', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence,
           'worker:' || worker_id, 'in_progress', 'pending', $3,
           jsonb_strip_nulls(jsonb_build_object(
               'claimed_at', to_char(was_claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'attempt', was_attempt))
      FROM ended
),
hinted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'hint', id::text, jsonb_build_object('v', 1, 'job_id', id), due_at, clock_timestamp()
      FROM ended
     WHERE $4::boolean
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT id, fence
  FROM ended;

-- name: SnoozeJob
WITH held AS MATERIALIZED (
    SELECT id, claimed_at, attempt
      FROM jobs
     WHERE id = $1 AND fence = $2 AND state || '' = 'in_progress'
       FOR UPDATE
),
ended AS (
    UPDATE jobs j
       SET state = 'pending', attempt = j.attempt - 1, due_at = clock_timestamp() + $3::bigint * interval '1 microsecond',
           claimed_at = NULL, progress_at = NULL
      FROM held
     WHERE j.id = held.id AND j.fence = $2 AND j.state || '' = 'in_progress'
    RETURNING j.*, held.claimed_at AS was_claimed_at, held.attempt AS was_attempt
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), 'job.snoozed', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence,
           $5, 'in_progress', 'pending', $4,
           jsonb_strip_nulls(jsonb_build_object(
               'claimed_at', to_char(was_claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'attempt', was_attempt, 'until', to_char(due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
      FROM ended
),
hinted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'hint', id::text, jsonb_build_object('v', 1, 'job_id', id), due_at, clock_timestamp()
      FROM ended
     WHERE $6::boolean
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT id
  FROM ended;

-- name: CancelRunningJob
WITH ended AS (
    UPDATE jobs
       SET state = 'cancelled', finished_at = clock_timestamp(), cause = $3
     WHERE id = $1 AND fence = $2 AND state || '' = 'in_progress'
    RETURNING *, claimed_at AS was_claimed_at, attempt AS was_attempt
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), finished_at, 'job.cancelled', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence,
           $4, 'in_progress', 'cancelled', cause,
           jsonb_strip_nulls(jsonb_build_object(
               'claimed_at', to_char(was_claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'attempt', was_attempt))
      FROM ended
)
SELECT id
  FROM ended;

-- name: ProgressJob
-- Of the worker's own jobs alone: whoever guesses a fence keeps nobody else's alive. Locked in the order of ids, as CompleteJobs does: a beat and a completion that
-- share jobs wait for each other in one direction only.
WITH held AS MATERIALIZED (
    SELECT j.id, j.fence
      FROM jobs j
      JOIN unnest($1::uuid[], $2::bigint[]) AS lease (id, fence) ON j.id = lease.id AND j.fence = lease.fence
     WHERE j.state || '' = 'in_progress' AND j.worker_id = $3
     ORDER BY j.id
       FOR NO KEY UPDATE OF j
)
UPDATE jobs j
   SET progress_at = clock_timestamp()
  FROM held
 WHERE j.id = held.id AND j.fence = held.fence AND j.state || '' = 'in_progress' AND j.worker_id = $3
RETURNING j.id, j.fence;

-- name: RecoverableJobs
-- Waits for whoever holds such jobs at this moment, and then says which are still
-- to be recovered. The order keeps two that wait from waiting for each other.
SELECT j.id
  FROM jobs j
  JOIN workers w ON w.id = j.worker_id
 WHERE j.state = 'in_progress' AND w.retired_at IS NOT NULL
 ORDER BY j.id
 LIMIT $1
   FOR UPDATE OF j;

-- name: RecoverJobs
-- Jobs whose owner is retired, which it stays for ever, so what is read of it needs
-- no second look. SKIP LOCKED: a job that another recovery moves, or that its owner
-- finishes this very moment, is left to them. The UPDATE repeats fence and state on
-- the row it changes. MATERIALIZED: the batch is chosen and locked once. The first
-- recovery of a job has no backoff; later ones have full jitter below a ceiling that
-- doubles. A person who names one job ($6) is the actor ($7), with a reason ($8).
WITH stale AS MATERIALIZED (
    SELECT j.id, j.fence, j.claimed_at, j.attempt, w.retired_cause, w.retired_cause = 'stopped' AS in_order,
           w.retired_cause <> 'stopped' AND j.crashes + 1 >= j.crash_budget AS dead
      FROM jobs j
      JOIN workers w ON w.id = j.worker_id
     WHERE j.state = 'in_progress' AND w.retired_at IS NOT NULL AND ($6::uuid IS NULL OR j.id = $6)
     LIMIT $1
       FOR UPDATE OF j SKIP LOCKED
),
moved AS (
    UPDATE jobs j
       SET state = CASE WHEN dead THEN 'failed' ELSE 'pending' END,
           attempt = CASE WHEN in_order THEN j.attempt - 1 ELSE j.attempt END,
           crashes = CASE WHEN in_order THEN crashes ELSE crashes + 1 END,
           quarantined = quarantined OR NOT in_order AND NOT dead AND crashes + 1 >= $2::integer,
           due_at = CASE
               WHEN in_order OR dead THEN due_at
               WHEN crashes = 0 THEN clock_timestamp()
               ELSE clock_timestamp()
                   + random() * least($3::bigint * power(2, least(crashes - 1, 30)), $4::bigint) * interval '1 microsecond'
           END,
           finished_at = CASE WHEN dead THEN clock_timestamp() END,
           claimed_at = CASE WHEN dead THEN j.claimed_at END,
           progress_at = CASE WHEN dead THEN progress_at END,
           cause = CASE WHEN in_order THEN cause ELSE 'the worker was lost: ' || retired_cause END,
           class = CASE WHEN in_order THEN class ELSE 'crash' END,
           signature = CASE WHEN in_order THEN signature ELSE 'crash: the worker was lost: ' || retired_cause END
      FROM stale
     WHERE j.id = stale.id AND j.fence = stale.fence AND j.state || '' = 'in_progress'
    RETURNING j.*, retired_cause, in_order, stale.claimed_at AS was_claimed_at, stale.attempt AS was_attempt
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(),
           CASE WHEN state = 'failed' THEN 'job.failed' WHEN in_order THEN 'job.released' ELSE 'job.recovered' END,
           id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence, $7, 'in_progress', state,
           CASE WHEN state = 'failed' THEN cause ELSE retired_cause END,
           jsonb_strip_nulls(jsonb_build_object(
               'claimed_at', to_char(was_claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'attempt', was_attempt, 'class', CASE WHEN NOT in_order THEN class END, 'reason', $8::text))
      FROM moved
),
quarantine AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), 'job.quarantined', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence,
           $7, retired_cause, jsonb_build_object('crashes', crashes)
      FROM moved
     WHERE quarantined AND NOT in_order AND state = 'pending' AND crashes = $2
),
lettered AS (
    INSERT INTO dead_letters (id, job_id, kind, customer_id, value_cents, canary, cause, class, signature, attempts, redrives,
        at, copy_due_at)
    SELECT directorybolt_uuid7(), id, kind, customer_id, value_cents, canary, cause, class, signature, attempt, redrives,
           finished_at, finished_at
      FROM moved
     WHERE state = 'failed'
),
alerted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', 'dead_letter:' || id,
           jsonb_strip_nulls(jsonb_build_object('v', 1, 'alert', 'dead_letters', 'group', signature,
               'value_cents', nullif(value_cents, 0), 'canary', nullif(canary, false), 'job_ids', jsonb_build_array(id),
               'customer_id', customer_id, 'job_kind', kind, 'redrives', nullif(redrives, 0),
               'cause', cause, 'class', class, 'signature', signature,
               'at', to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))),
           finished_at, finished_at
      FROM moved
     WHERE state = 'failed'
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
),
hinted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'hint', id::text, jsonb_build_object('v', 1, 'job_id', id), due_at, clock_timestamp()
      FROM moved
     WHERE $5::boolean AND state = 'pending'
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
),
recorded AS (
    INSERT INTO journal (id, at, actor, reason, act, count, value_cents, job_ids)
    SELECT directorybolt_uuid7(), clock_timestamp(), $7, coalesce($8::text, ''), 'recover', 1, CASE WHEN canary THEN 0 ELSE value_cents END, ARRAY[id]
      FROM moved
     WHERE $6::uuid IS NOT NULL AND $7 <> 'system'
)
SELECT id, kind, fence, state, crashes, quarantined, retired_cause, worker_id, value_cents, canary
  FROM moved;

-- name: RecoverStalledJobs
-- Jobs of workers that live, without progress for $9. The UPDATE repeats fence, state
-- and progress on the row it changes: a handler that got further in the last moment
-- keeps its job. Whatever became of the owner meanwhile, the job is taken once. The
-- rest is as in RecoverJobs.
WITH stale AS MATERIALIZED (
    SELECT j.id, j.fence, j.claimed_at, j.progress_at, j.crashes + 1 >= j.crash_budget AS dead
      FROM jobs j
      JOIN workers w ON w.id = j.worker_id
     WHERE j.state = 'in_progress' AND j.progress_at <= statement_timestamp() - $9::bigint * interval '1 microsecond'
       AND w.retired_at IS NULL AND w.lease_until > statement_timestamp() AND ($6::uuid IS NULL OR j.id = $6)
     LIMIT $1
       FOR UPDATE OF j SKIP LOCKED
),
moved AS (
    UPDATE jobs j
       SET state = CASE WHEN dead THEN 'failed' ELSE 'pending' END,
           crashes = crashes + 1,
           quarantined = quarantined OR NOT dead AND crashes + 1 >= $2::integer,
           due_at = CASE
               WHEN dead THEN due_at
               WHEN crashes = 0 THEN clock_timestamp()
               ELSE clock_timestamp()
                   + random() * least($3::bigint * power(2, least(crashes - 1, 30)), $4::bigint) * interval '1 microsecond'
           END,
           finished_at = CASE WHEN dead THEN clock_timestamp() END,
           claimed_at = CASE WHEN dead THEN j.claimed_at END,
           progress_at = CASE WHEN dead THEN j.progress_at END,
           cause = 'the handler made no progress',
           class = 'crash',
           signature = 'crash: the handler made no progress'
      FROM stale
     WHERE j.id = stale.id AND j.fence = stale.fence AND j.state || '' = 'in_progress'
       AND j.progress_at = stale.progress_at
    RETURNING j.*, stale.claimed_at AS was_claimed_at, stale.progress_at AS was_progress_at
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(),
           CASE WHEN state = 'failed' THEN 'job.failed' ELSE 'job.recovered' END,
           id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence, $7, 'in_progress', state,
           CASE WHEN state = 'failed' THEN cause ELSE 'no_progress' END,
           jsonb_strip_nulls(jsonb_build_object(
               'claimed_at', to_char(was_claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'progress_at', to_char(was_progress_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'attempt', attempt, 'class', class, 'reason', $8::text))
      FROM moved
),
quarantine AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), 'job.quarantined', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence,
           $7, 'no_progress', jsonb_build_object('crashes', crashes)
      FROM moved
     WHERE quarantined AND state = 'pending' AND crashes = $2
),
lettered AS (
    INSERT INTO dead_letters (id, job_id, kind, customer_id, value_cents, canary, cause, class, signature, attempts, redrives,
        at, copy_due_at)
    SELECT directorybolt_uuid7(), id, kind, customer_id, value_cents, canary, cause, class, signature, attempt, redrives,
           finished_at, finished_at
      FROM moved
     WHERE state = 'failed'
),
alerted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', 'dead_letter:' || id,
           jsonb_strip_nulls(jsonb_build_object('v', 1, 'alert', 'dead_letters', 'group', signature,
               'value_cents', nullif(value_cents, 0), 'canary', nullif(canary, false), 'job_ids', jsonb_build_array(id),
               'customer_id', customer_id, 'job_kind', kind, 'redrives', nullif(redrives, 0),
               'cause', cause, 'class', class, 'signature', signature,
               'at', to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))),
           finished_at, finished_at
      FROM moved
     WHERE state = 'failed'
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
),
hinted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'hint', id::text, jsonb_build_object('v', 1, 'job_id', id), due_at, clock_timestamp()
      FROM moved
     WHERE $5::boolean AND state = 'pending'
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
),
recorded AS (
    INSERT INTO journal (id, at, actor, reason, act, count, value_cents, job_ids)
    SELECT directorybolt_uuid7(), clock_timestamp(), $7, coalesce($8::text, ''), 'recover', 1, CASE WHEN canary THEN 0 ELSE value_cents END, ARRAY[id]
      FROM moved
     WHERE $6::uuid IS NOT NULL AND $7 <> 'system'
)
SELECT id, kind, fence, state, crashes, quarantined, 'no_progress', worker_id, value_cents, canary
  FROM moved;

-- name: CancelJob
-- The lock is taken before the state is read, so that the event tells the state
-- that was really left; a completion at the same moment wins or finds it cancelled.
WITH held AS MATERIALIZED (
    SELECT id, state, claimed_at, attempt
      FROM jobs
     WHERE id = $1 AND state || '' IN ('pending', 'in_progress')
       FOR UPDATE
),
ended AS (
    UPDATE jobs j
       SET state = 'cancelled', finished_at = clock_timestamp(), cause = $3
      FROM held
     WHERE j.id = held.id AND j.state || '' IN ('pending', 'in_progress')
    RETURNING j.*, held.state AS was, held.claimed_at AS was_claimed_at, held.attempt AS was_attempt
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), finished_at, 'job.cancelled', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id,
           CASE was WHEN 'in_progress' THEN worker_id END, nullif(fence, 0), $2, was, 'cancelled', cause,
           CASE was WHEN 'in_progress' THEN jsonb_strip_nulls(jsonb_build_object(
               'claimed_at', to_char(was_claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'attempt', was_attempt)) END
      FROM ended
),
journalled AS (
    INSERT INTO journal (id, at, actor, reason, act, count, value_cents, job_ids)
    SELECT directorybolt_uuid7(), finished_at, $2, coalesce($3, ''), 'cancel', 1, CASE WHEN canary THEN 0 ELSE value_cents END, ARRAY[id]
      FROM ended
     WHERE $2 <> 'system'
)
SELECT id
  FROM ended;

-- name: HastenJob
-- The lock is taken before the time is read, so that the event tells the wait that was
-- really ended.
WITH held AS MATERIALIZED (
    SELECT id, due_at
      FROM jobs
     WHERE id = $1 AND state || '' = 'pending'
       FOR UPDATE
),
moved AS (
    UPDATE jobs j
       SET due_at = least(j.due_at, clock_timestamp())
      FROM held
     WHERE j.id = held.id AND j.state || '' = 'pending'
    RETURNING j.*, held.due_at AS was_due_at
),
sooner AS (
    SELECT *
      FROM moved
     WHERE due_at < was_due_at
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), due_at, 'job.hastened', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id,
           nullif(fence, 0), $2, 'pending', 'pending', $3,
           jsonb_build_object('until', to_char(was_due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
      FROM sooner
),
hinted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'hint', id::text, jsonb_build_object('v', 1, 'job_id', id), due_at, clock_timestamp()
      FROM sooner
     WHERE $4::boolean
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
),
journalled AS (
    INSERT INTO journal (id, at, actor, reason, act, count, value_cents, job_ids)
    SELECT directorybolt_uuid7(), due_at, $2, coalesce($3, ''), 'hasten', 1, CASE WHEN canary THEN 0 ELSE value_cents END, ARRAY[id]
      FROM sooner
     WHERE $2 <> 'system'
)
SELECT id
  FROM moved;

-- name: GetJob
SELECT id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key
  FROM jobs
 WHERE id = $1;

-- name: ListJobs
-- Newest first. A NULL filter selects all.
SELECT id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key
  FROM jobs
 WHERE ($1::text IS NULL OR state = $1)
   AND ($2::text IS NULL OR kind = $2)
   AND ($3::uuid IS NULL OR customer_id = $3)
   AND ($4::boolean OR NOT canary)
   AND ($5::uuid IS NULL OR id < $5)
 ORDER BY id DESC
 LIMIT $6;

-- name: Line
-- Due jobs in the order in which claims come to them.
SELECT j.id, j.priority, j.due_at
  FROM jobs j
 WHERE j.state = 'pending' AND NOT j.quarantined AND j.due_at <= statement_timestamp()
   AND j.kind = ANY ($1::text[])
   AND (NOT EXISTS (SELECT FROM pauses)
        OR NOT EXISTS (SELECT FROM pauses p
                        WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id)))
 ORDER BY j.priority, j.due_at, j.id
 LIMIT $2;

-- name: OrdersOf
-- The order that people ask about, and beside it how many the customer has of each
-- state: one that runs, else the first that claims come to, else the newest.
SELECT id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, NULL::jsonb,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key,
    count(*) FILTER (WHERE state = 'pending') OVER (), count(*) FILTER (WHERE state = 'in_progress') OVER (),
    count(*) FILTER (WHERE state = 'completed') OVER (), count(*) FILTER (WHERE state = 'failed') OVER (),
    count(*) FILTER (WHERE state = 'cancelled') OVER ()
  FROM jobs
 WHERE customer_id = $1 AND kind = 'order' AND NOT canary
 ORDER BY CASE state WHEN 'in_progress' THEN 1 WHEN 'pending' THEN 2 ELSE 3 END,
    CASE state WHEN 'pending' THEN priority END, CASE state WHEN 'pending' THEN due_at END,
    CASE state WHEN 'pending' THEN id END, id DESC
 LIMIT 1;

-- name: StaleJobs
-- Running jobs that recovery takes or is about to, and by which of its conditions.
SELECT j.id, j.kind, why.cause, why.since, j.fence, j.crashes, j.crash_budget, j.value_cents, j.canary, j.worker_id,
    coalesce(w.host, ''), coalesce(w.pid, 0), w.beat_at, j.claimed_at, j.progress_at
  FROM jobs j
  LEFT JOIN workers w ON w.id = j.worker_id
 CROSS JOIN LATERAL (
    SELECT CASE
               WHEN w.id IS NULL THEN 'no_owner'
               WHEN w.retired_at IS NOT NULL THEN w.retired_cause
               WHEN w.lease_until <= statement_timestamp() THEN 'lease_expired'
               WHEN j.progress_at <= statement_timestamp() - $1::bigint * interval '1 microsecond' THEN 'no_progress'
           END AS cause,
           CASE
               WHEN w.id IS NULL THEN j.claimed_at
               WHEN w.retired_at IS NOT NULL THEN w.retired_at
               WHEN w.lease_until <= statement_timestamp() THEN w.lease_until
               ELSE j.progress_at
           END AS since
 ) AS why
 WHERE j.state = 'in_progress' AND why.cause IS NOT NULL
 ORDER BY why.since, j.id
 LIMIT $2;

-- name: JobsAhead
-- Due jobs that a claim takes before job $1, as far as $3; what is paused is not in
-- its way.
SELECT count(*)
  FROM (SELECT
          FROM jobs mine
          JOIN jobs j ON (j.priority, j.due_at, j.id) < (mine.priority, mine.due_at, mine.id)
         WHERE mine.id = $1 AND j.state = 'pending' AND NOT j.quarantined AND j.due_at <= statement_timestamp()
           AND j.kind = ANY ($2::text[])
           AND NOT EXISTS (SELECT
                             FROM pauses p
                            WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id))
         LIMIT $3) AS ahead;

-- name: Standings
SELECT id, state, due_at <= statement_timestamp() AS due, priority, customer_id, finished_at
  FROM jobs
 WHERE id = ANY ($1::uuid[]);

-- name: CountJobs
SELECT state, count(*)
  FROM jobs
 WHERE NOT canary
 GROUP BY state;

-- name: MeasureLoad
-- What is pending lies in two indexes, and is read from each. $1 is an id from before
-- today: ids are ordered by time, and lead to today's letters without an index on theirs.
SELECT statement_timestamp(), waiting.jobs, running.jobs, waiting.due, waiting.oldest, dead.letters
  FROM (SELECT count(*) FILTER (WHERE NOT p.canary) AS jobs, count(*) FILTER (WHERE p.due) AS due,
               min(p.due_at) FILTER (WHERE p.due) AS oldest
          FROM (SELECT j.canary, j.due_at,
                       j.due_at <= statement_timestamp()
                       AND (NOT EXISTS (SELECT FROM pauses)
                            OR NOT EXISTS (SELECT FROM pauses p WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id))) AS due
                  FROM (SELECT kind, customer_id, canary, due_at FROM jobs WHERE state = 'pending' AND NOT quarantined
                        UNION ALL
                        SELECT kind, customer_id, canary, due_at FROM jobs WHERE state = 'pending' AND quarantined) AS j) AS p) AS waiting
 CROSS JOIN (SELECT count(*) AS jobs FROM jobs WHERE state = 'in_progress' AND NOT canary) AS running
 CROSS JOIN (SELECT count(*) AS letters
               FROM dead_letters
              WHERE id >= $1 AND job_id IS NOT NULL AND NOT canary
                AND at >= date_trunc('day', statement_timestamp(), 'UTC')) AS dead;

-- name: PruneJobs
-- Ids are ordered by the time they were made, so the primary key leads to the oldest
-- without an index on finished_at that every completion would have to feed: a job
-- that was made after the horizon ($1, as an id) cannot have finished before it. The
-- counts by day stay behind. SKIP LOCKED: two passes share the work.
WITH old AS MATERIALIZED (
    SELECT id
      FROM jobs
     WHERE id < $1 AND state IN ('completed', 'cancelled') AND finished_at < $2::timestamptz
     ORDER BY id
     LIMIT $3
       FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM jobs j
     USING old
     WHERE j.id = old.id AND j.state IN ('completed', 'cancelled')
    RETURNING j.id, j.kind, j.package, j.state, j.canary, j.value_cents, j.finished_at,
        j.state = 'completed' AND j.value_cents > 0 AND j.redrives > 0 AS redriven,
        j.state = 'completed' AND j.value_cents > 0 AND j.redrives = 0 AND j.crashes > 0 AS recovered
),
kept AS (
    INSERT INTO job_archive AS a (day, kind, package, state, canary, jobs, value_cents, recovered_jobs, recovered_cents,
        redriven_jobs, redriven_cents)
    SELECT (finished_at AT TIME ZONE 'UTC')::date, kind, coalesce(package, ''), state, canary, count(*), sum(value_cents),
           count(*) FILTER (WHERE recovered), coalesce(sum(value_cents) FILTER (WHERE recovered), 0),
           count(*) FILTER (WHERE redriven), coalesce(sum(value_cents) FILTER (WHERE redriven), 0)
      FROM gone
     GROUP BY 1, 2, 3, 4, 5
     ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT (day, kind, package, state, canary)
        DO UPDATE SET jobs = a.jobs + excluded.jobs, value_cents = a.value_cents + excluded.value_cents,
            recovered_jobs = a.recovered_jobs + excluded.recovered_jobs, recovered_cents = a.recovered_cents + excluded.recovered_cents,
            redriven_jobs = a.redriven_jobs + excluded.redriven_jobs, redriven_cents = a.redriven_cents + excluded.redriven_cents
),
forgotten AS (
    SELECT directorybolt_forget_events(array_agg(id)) -- the role may have no right to delete events
      FROM gone
)
SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM forgotten);

-- name: PruneArchive
DELETE FROM job_archive
 WHERE day < ($1::timestamptz AT TIME ZONE 'UTC')::date;

-- name: StoreNow
SELECT clock_timestamp();
