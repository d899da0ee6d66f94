-- Statements on submissions: the effect ledger. Each takes the job's row under a
-- lock first, by id, fence and state: a recovery at the same moment is waited for,
-- the guard is then read again, and the lease turns out to be lost. Without the lock
-- the snapshot would still show the job as ours.

-- name: LeasedJob
-- Why a write was refused: whether the lease holds, and its owner still lives.
SELECT coalesce((SELECT w.retired_at IS NULL AND w.lease_until > clock_timestamp() FROM workers w WHERE w.id = j.worker_id), false)
  FROM jobs j
 WHERE j.id = $1 AND j.fence = $2 AND j.state || '' = 'in_progress';

-- name: PlanSubmissions
-- The job's shortfall is NULL until the plan is made; that, and not the number of
-- submissions, is what makes a second plan a plan too many: a plan may be empty.
WITH lease AS (
    UPDATE jobs
       SET shortfall = $3, progress_at = clock_timestamp()
     WHERE id = $1 AND fence = $2 AND state || '' = 'in_progress' AND shortfall IS NULL
       AND NOT EXISTS (SELECT FROM submissions WHERE order_id = $1)
    RETURNING id, fence, customer_id, canary, worker_id, quota
),
planned AS (
    INSERT INTO submissions (id, order_id, customer_id, directory, rank, identity, canary, created_at, updated_at)
    SELECT choice.id, lease.id, coalesce(lease.customer_id, '00000000-0000-0000-0000-000000000000'), choice.directory, choice.rank,
           $4, lease.canary, clock_timestamp(), clock_timestamp()
      FROM lease, unnest($5::uuid[], $6::text[], $7::integer[]) AS choice (id, directory, rank)
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), 'shortfall', id, id, customer_id, worker_id, fence, 'worker:' || worker_id,
           'the catalog has too few directories', jsonb_strip_nulls(jsonb_build_object('shortfall', $3::integer, 'quota', quota))
      FROM lease
     WHERE $3 > 0
)
SELECT id
  FROM lease;

-- name: ListSubmissions
SELECT id, order_id, customer_id, directory, rank, identity, state, fence, tries, due_at, intent_at, effect_deadline,
    class, reason, need, evidence, listing_url, replaced, canary, created_at, updated_at, live_at
  FROM submissions
 WHERE order_id = $1
 ORDER BY rank, id;

-- name: CountSubmissions
SELECT state, replaced, count(*)
  FROM submissions
 WHERE order_id = $1
 GROUP BY state, replaced;

-- name: CountDone
SELECT order_id, count(*)
  FROM submissions
 WHERE order_id = ANY ($1::uuid[]) AND state NOT IN ('planned', 'submitting') AND NOT replaced
 GROUP BY order_id;

-- name: GetSubmission
SELECT id, order_id, customer_id, directory, rank, identity, state, fence, tries, due_at, intent_at, effect_deadline,
    class, reason, need, evidence, listing_url, replaced, canary, created_at, updated_at, live_at
  FROM submissions
 WHERE id = $1;

-- name: HeldDirectories
-- $2 is the name of the identity where its customer was erased.
SELECT directory
  FROM submissions
 WHERE identity IN ($1, $2)
   AND state IN ('submitting', 'submitted', 'live', 'needs_action', 'uncertain')
 ORDER BY directory;

-- name: IntendSubmission
-- Before this is committed, nothing leaves the house. The deadline never lies past
-- the worker's lease, so that whoever recovers the job knows when the last byte of a
-- dead attempt can have gone out. The unique index refuses a second holder of the
-- directory.
WITH lease AS MATERIALIZED (
    SELECT id, fence, worker_id
      FROM jobs
     WHERE id = $1 AND fence = $2 AND state || '' = 'in_progress'
       FOR SHARE
),
intended AS (
    UPDATE submissions s
       SET state = 'submitting', fence = lease.fence, tries = tries + 1, due_at = NULL, intent_at = clock_timestamp(),
           effect_deadline = least(clock_timestamp() + $4::bigint * interval '1 microsecond', w.lease_until),
           class = NULL, reason = NULL, updated_at = clock_timestamp()
      FROM lease
      JOIN workers w ON w.id = lease.worker_id AND w.retired_at IS NULL
     WHERE s.id = $3 AND s.order_id = lease.id AND s.state = 'planned' AND w.lease_until > clock_timestamp()
    RETURNING s.*
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, directory, worker_id, fence, actor,
        from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), i.intent_at, 'submission.intent', lease.id, i.order_id, i.customer_id, i.directory,
           lease.worker_id, lease.fence, 'worker:' || lease.worker_id, 'planned', 'submitting', NULL,
           jsonb_build_object('submission_id', i.id, 'try', i.tries, 'effect_deadline',
               to_char(i.effect_deadline AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
      FROM intended i, lease
)
SELECT id, order_id, customer_id, directory, rank, identity, state, fence, tries, due_at, intent_at, effect_deadline,
    class, reason, need, evidence, listing_url, replaced, canary, created_at, updated_at, live_at
  FROM intended;

-- name: SettleSubmission
-- $4 holds the states from which there is an arrow to the outcome. The outcome of an
-- intent belongs to the claim that made it; another claim may speak only when
-- nothing of it can be on the wire any more. The job's row is changed for its
-- progress, which locks it as the other statements do. A postponement counts as a
-- try, and so does giving up without an intent.
WITH lease AS (
    UPDATE jobs
       SET progress_at = clock_timestamp()
     WHERE id = $1 AND fence = $2 AND state || '' = 'in_progress'
       AND EXISTS (SELECT FROM submissions s
                    WHERE s.id = $3 AND s.order_id = $1 AND s.state = ANY ($4::text[])
                      AND (s.state = 'planned' OR s.fence = $2 OR s.effect_deadline < statement_timestamp()))
    RETURNING id, fence, worker_id
),
held AS MATERIALIZED (
    SELECT s.id, s.state
      FROM submissions s
      JOIN lease ON s.order_id = lease.id
     WHERE s.id = $3 AND s.state = ANY ($4)
       AND (s.state = 'planned' OR s.fence = $2 OR s.effect_deadline < statement_timestamp())
       FOR UPDATE OF s
),
settled AS (
    UPDATE submissions s
       SET state = $5, class = $6, reason = $7, need = $8, evidence = coalesce($9::jsonb, evidence),
           listing_url = coalesce($10, listing_url),
           tries = tries + CASE WHEN held.state = 'planned' AND $5 IN ('planned', 'failed') THEN 1 ELSE 0 END,
           due_at = CASE WHEN $5 = 'planned' THEN clock_timestamp() + $11::bigint * interval '1 microsecond' END,
           replaced = $13::text IS NOT NULL, updated_at = clock_timestamp()
      FROM held
     WHERE s.id = held.id AND s.state = held.state
    RETURNING s.*, held.state AS was
),
replacement AS (
    INSERT INTO submissions (id, order_id, customer_id, directory, rank, identity, canary, created_at, updated_at)
    SELECT $12::uuid, order_id, customer_id, $13, $14::integer, identity, canary, clock_timestamp(), clock_timestamp()
      FROM settled
     WHERE $13 IS NOT NULL
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, directory, worker_id, fence, actor,
        from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), s.updated_at,
           CASE s.state WHEN 'uncertain' THEN 'submission.uncertain' ELSE 'submission.outcome' END,
           lease.id, s.order_id, s.customer_id, s.directory, lease.worker_id, lease.fence, 'worker:' || lease.worker_id,
           s.was, s.state, s.reason,
           jsonb_strip_nulls(jsonb_build_object('submission_id', s.id, 'try', nullif(s.tries, 0), 'class', s.class,
               'need', s.need, 'rule', s.evidence ->> 'rule', 'listing_url', s.listing_url, 'replaced_by', $13))
      FROM settled s, lease
)
SELECT id
  FROM settled;

-- name: ObserveSubmission
-- The lease is the recheck's own; the submission belongs to the order it looks at.
WITH lease AS MATERIALIZED (
    SELECT id, fence, worker_id
      FROM jobs
     WHERE id = $1 AND fence = $2 AND state || '' = 'in_progress'
       FOR SHARE
),
held AS MATERIALIZED (
    SELECT s.id, s.state
      FROM submissions s, lease
     WHERE s.id = $3 AND s.state = ANY ($4::text[])
       FOR UPDATE OF s
),
observed AS (
    UPDATE submissions s
       SET state = $5, class = $6, reason = $7, evidence = coalesce($8::jsonb, evidence),
           listing_url = coalesce($9, listing_url), updated_at = clock_timestamp(),
           live_at = CASE $5 WHEN 'live' THEN clock_timestamp() ELSE live_at END
      FROM held
     WHERE s.id = held.id AND s.state = held.state
    RETURNING s.*, held.state AS was
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, directory, worker_id, fence, actor,
        from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), o.updated_at, 'submission.outcome', lease.id, o.order_id, o.customer_id, o.directory,
           lease.worker_id, lease.fence, 'worker:' || lease.worker_id, o.was, o.state, o.reason,
           jsonb_strip_nulls(jsonb_build_object('submission_id', o.id, 'class', o.class, 'rule', o.evidence ->> 'rule',
               'listing_url', o.listing_url))
      FROM observed o, lease
)
SELECT id
  FROM observed;
