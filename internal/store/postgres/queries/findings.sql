-- Statements on what monitors find wrong. Those that look answer the same columns;
-- $1 is their patience in microseconds, $2 how many they answer. None walks more than
-- an index of what is open.

-- name: FindUnknownOwners
-- The owners are found by jumps from one to the next through jobs_for_recovery.
WITH RECURSIVE owner AS (
    (SELECT worker_id FROM jobs WHERE state = 'in_progress' ORDER BY worker_id LIMIT 1)
    UNION ALL
    SELECT (SELECT j.worker_id FROM jobs j WHERE j.state = 'in_progress' AND j.worker_id > owner.worker_id ORDER BY j.worker_id LIMIT 1)
      FROM owner
     WHERE owner.worker_id IS NOT NULL
)
SELECT owner.worker_id::text, 'no_owner', '', held.since, held.jobs, held.value_cents, held.job_id, NULL::uuid, NULL::uuid, NULL::text,
    owner.worker_id
  FROM owner
 CROSS JOIN LATERAL (
    SELECT min(j.claimed_at) AS since, count(*) AS jobs, coalesce(sum(j.value_cents) FILTER (WHERE NOT j.canary), 0)::bigint AS value_cents,
           (array_agg(j.id ORDER BY j.claimed_at, j.id))[1] AS job_id
      FROM jobs j
     WHERE j.worker_id = owner.worker_id AND j.state = 'in_progress') AS held
 WHERE NOT EXISTS (SELECT FROM workers w WHERE w.id = owner.worker_id) AND held.jobs > 0 AND $1::bigint >= 0
 ORDER BY held.since
 LIMIT $2;

-- name: FindUnclaimed
-- Of each priority the first thousand that are due for long, as claims come to them.
-- An idle worker would take the first of its kinds; another look that finds the same
-- one first, and an idle worker again, proves that nobody claims: whoever is merely
-- between two jobs would have taken it meanwhile. A quarantined job comes first only
-- for a worker that has nothing else and runs nothing.
WITH due AS MATERIALIZED (
    SELECT late.*
      FROM unnest('{1,2,3,4}'::smallint[]) AS p (priority)
     CROSS JOIN LATERAL (
        SELECT j.id, j.kind, j.priority, j.due_at, j.value_cents, j.canary, false AS quarantined
          FROM jobs j
         WHERE j.state = 'pending' AND NOT j.quarantined AND j.priority = p.priority
           AND j.due_at <= statement_timestamp() - $1::bigint * interval '1 microsecond'
           AND (NOT EXISTS (SELECT FROM pauses)
                OR NOT EXISTS (SELECT FROM pauses p WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id)))
         ORDER BY j.due_at, j.id
         LIMIT 1000) AS late
    UNION ALL
    (SELECT j.id, j.kind, j.priority, j.due_at, j.value_cents, j.canary, true
       FROM jobs j
      WHERE j.state = 'pending' AND j.quarantined
        AND j.due_at <= statement_timestamp() - $1::bigint * interval '1 microsecond'
        AND (NOT EXISTS (SELECT FROM pauses)
             OR NOT EXISTS (SELECT FROM pauses p WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id)))
      ORDER BY j.due_at, j.id
      LIMIT 1000)
),
alive AS MATERIALIZED (
    SELECT w.id, w.kinds, w.capacity,
           (SELECT count(*) FROM (SELECT FROM jobs j WHERE j.worker_id = w.id AND j.state = 'in_progress' LIMIT w.capacity) AS held) AS held
      FROM workers w
     WHERE w.retired_at IS NULL AND w.lease_until > statement_timestamp() AND EXISTS (SELECT FROM due)
),
next AS (
    SELECT DISTINCT first.kind, first.id
      FROM alive
     CROSS JOIN LATERAL (
        SELECT due.kind, due.id
          FROM due
         WHERE due.kind = ANY (alive.kinds) AND (NOT due.quarantined OR alive.held = 0)
         ORDER BY due.quarantined, due.priority, due.due_at, due.id
         LIMIT 1) AS first
     WHERE alive.held < alive.capacity
)
SELECT kinds.kind, why.cause, coalesce((SELECT min(next.id::text) FROM next WHERE next.kind = kinds.kind), ''), kinds.since, kinds.jobs,
    kinds.value_cents, kinds.job_id, NULL::uuid, NULL::uuid, NULL::text, NULL::uuid
  FROM (SELECT kind, min(due_at) AS since, count(*) AS jobs, coalesce(sum(value_cents) FILTER (WHERE NOT canary), 0)::bigint AS value_cents,
               (array_agg(id ORDER BY due_at, id))[1] AS job_id
          FROM due
         GROUP BY kind) AS kinds
 CROSS JOIN LATERAL (
    SELECT CASE
               WHEN NOT EXISTS (SELECT FROM alive) THEN 'no_worker'
               WHEN NOT EXISTS (SELECT FROM alive WHERE kinds.kind = ANY (alive.kinds)) THEN 'no_handler'
               WHEN EXISTS (SELECT FROM next WHERE next.kind = kinds.kind) THEN 'idle'
           END AS cause) AS why
 WHERE why.cause IS NOT NULL
 ORDER BY kinds.since
 LIMIT $2;

-- name: FindUnsent
-- Due and taken by nobody, or taken again and again for a long time: each take hides
-- a message for a while.
SELECT late.kind, CASE WHEN min(late.attempts) = 0 THEN 'not_taken' ELSE 'not_accepted' END, '', min(late.created_at), count(*), 0::bigint,
    NULL::uuid, NULL::uuid, NULL::uuid, NULL::text, NULL::uuid
  FROM (SELECT kind, attempts, created_at
          FROM outbox
         WHERE sent_at IS NULL AND not_before <= statement_timestamp() + interval '15 minutes'
           AND (not_before <= statement_timestamp() - $1::bigint * interval '1 microsecond'
                OR attempts >= 3 AND created_at <= statement_timestamp() - $1::bigint * interval '1 microsecond')
         LIMIT 10000) AS late
 GROUP BY late.kind
 ORDER BY 4
 LIMIT $2;

-- name: FindHintsWithoutJob
SELECT o.key, 'gone', '', o.created_at, 1::bigint, 0::bigint, NULL::uuid, NULL::uuid, NULL::uuid, NULL::text, NULL::uuid
  FROM outbox o
 WHERE o.kind = 'hint' AND o.sent_at IS NULL
   AND o.not_before <= statement_timestamp() - $1::bigint * interval '1 microsecond'
   AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = (o.payload ->> 'job_id')::uuid)
 ORDER BY o.not_before
 LIMIT $2;

-- name: FindJobsWithoutHint
-- While every worker is busy a job may well wait longer than its hint was under way;
-- with one idle, the hint must be lost.
WITH idle AS MATERIALIZED (
    SELECT DISTINCT unnest(w.kinds) AS kind
      FROM workers w
     WHERE w.retired_at IS NULL AND w.lease_until > statement_timestamp()
       AND w.capacity > (SELECT count(*) FROM (SELECT FROM jobs j WHERE j.worker_id = w.id AND j.state = 'in_progress' LIMIT w.capacity) AS held)
)
SELECT late.id::text, 'lost', '', late.due_at, 1::bigint, CASE WHEN late.canary THEN 0 ELSE late.value_cents END, late.id, NULL::uuid,
    late.customer_id, NULL::text, NULL::uuid
  FROM unnest('{1,2,3,4}'::smallint[]) AS p (priority)
 CROSS JOIN LATERAL (
    SELECT j.id, j.due_at, j.canary, j.value_cents, j.customer_id
      FROM jobs j
     WHERE j.state = 'pending' AND NOT j.quarantined AND j.priority = p.priority
       AND j.due_at <= statement_timestamp() - $1::bigint * interval '1 microsecond'
       AND j.kind IN (SELECT idle.kind FROM idle)
       AND NOT EXISTS (SELECT FROM pauses p WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id))
       AND NOT EXISTS (SELECT FROM outbox o WHERE o.kind = 'hint' AND o.key = j.id::text AND o.sent_at IS NULL)
     ORDER BY j.due_at, j.id
     LIMIT $2) AS late
 WHERE EXISTS (SELECT FROM idle)
 ORDER BY late.due_at
 LIMIT $2;

-- name: FindUndecided
SELECT s.id::text, coalesce(j.state, 'gone'), '', s.effect_deadline, 1::bigint,
    CASE WHEN s.canary THEN 0 ELSE coalesce(j.value_cents / nullif(j.quota, 0), 0) END, s.order_id, s.order_id, s.customer_id, s.directory,
    NULL::uuid
  FROM submissions s
  LEFT JOIN jobs j ON j.id = s.order_id
 WHERE s.state = 'submitting' AND s.effect_deadline <= statement_timestamp() - $1::bigint * interval '1 microsecond'
   AND (j.id IS NULL OR j.state || '' IN ('completed', 'failed', 'cancelled'))
 ORDER BY s.effect_deadline
 LIMIT $2;

-- name: RetireUnknownOwners
-- The row says for ever that this worker may do nothing: should it live after all, its
-- next beat ends it. Recovery then takes its jobs as those of any retired worker.
WITH retired AS (
    INSERT INTO workers (id, host, pid, version, kinds, capacity, started_at, beat_at, lease_until, retired_at, retired_cause)
    SELECT owner.id, 'unknown', 0, '', '{}', 1, now.at, now.at, now.at, now.at, 'no_owner'
      FROM unnest($1::uuid[]) AS owner (id)
     CROSS JOIN (SELECT clock_timestamp() AS at OFFSET 0) AS now
     WHERE EXISTS (SELECT FROM jobs j WHERE j.worker_id = owner.id AND j.state = 'in_progress')
        ON CONFLICT (id) DO NOTHING
    RETURNING id, retired_at
),
told AS (
    INSERT INTO events (id, at, type, worker_id, actor, cause)
    SELECT directorybolt_uuid7(), retired_at, 'worker.retired', id, 'system', 'no_owner'
      FROM retired
)
SELECT id
  FROM retired;

-- name: DropHints
DELETE FROM outbox o
 WHERE o.kind = 'hint' AND o.sent_at IS NULL AND o.key = ANY ($1::text[])
   AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = (o.payload ->> 'job_id')::uuid);

-- name: HintAgain
-- A hint too many finds nothing to claim. An unsent one is left as it is.
INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
SELECT directorybolt_uuid7(), 'hint', j.id::text, jsonb_build_object('v', 1, 'job_id', j.id), clock_timestamp(), clock_timestamp()
  FROM jobs j
 WHERE j.id = ANY ($1::uuid[]) AND j.state || '' = 'pending' AND j.due_at <= statement_timestamp()
    ON CONFLICT (kind, key) WHERE sent_at IS NULL DO NOTHING;

-- name: EndUndecided
-- The order's row is locked first, as every writer of the ledger does: a redrive at
-- this moment either waits, or has made the order one that asks for itself. SKIP LOCKED:
-- whoever changes it now is looked at next time.
WITH finished AS MATERIALIZED (
    SELECT id
      FROM jobs
     WHERE id IN (SELECT order_id FROM submissions WHERE id = ANY ($1::uuid[])) AND state || '' IN ('completed', 'failed', 'cancelled')
     ORDER BY id
       FOR SHARE SKIP LOCKED
),
held AS MATERIALIZED (
    SELECT s.id
      FROM submissions s
     WHERE s.id = ANY ($1::uuid[]) AND s.state = 'submitting'
       AND s.effect_deadline <= statement_timestamp() - $2::bigint * interval '1 microsecond'
       AND (s.order_id IN (SELECT id FROM finished) OR NOT EXISTS (SELECT FROM jobs j WHERE j.id = s.order_id))
       FOR UPDATE OF s
),
ended AS (
    UPDATE submissions s
       SET state = 'uncertain', class = 'in_doubt', reason = concat_ws('; ', nullif(reason, ''), $3::text), updated_at = clock_timestamp()
      FROM held
     WHERE s.id = held.id AND s.state = 'submitting'
    RETURNING s.*
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, directory, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), updated_at, 'submission.uncertain', order_id, order_id, customer_id, directory, fence, 'system',
           'submitting', 'uncertain', reason, jsonb_build_object('submission_id', id, 'try', tries, 'class', class)
      FROM ended
)
SELECT id
  FROM ended;

-- name: NoteFindings
-- $2 is a JSON array of what a look found. A row that another monitor noted at this
-- moment is waited for and then read again, so that one of them tells. What was told
-- now carries this statement's own moment.
WITH now AS MATERIALIZED (SELECT clock_timestamp() AS at),
found AS MATERIALIZED (
    SELECT *
      FROM jsonb_to_recordset($2::jsonb) AS f (subject text, cause text, mark text, since timestamptz, count bigint, value_cents bigint,
               job_id uuid, order_id uuid, customer_id uuid, directory text, worker_id uuid, text text)
),
noted AS (
    INSERT INTO findings AS f (kind, subject, cause, mark, since, count, value_cents, job_id, order_id, customer_id, directory, worker_id,
        first_at, told_at)
    SELECT $1, subject, cause, mark, since, count, value_cents, job_id, order_id, customer_id, directory, worker_id, now.at,
           CASE WHEN $4::bigint <= 0 THEN now.at END
      FROM found, now
     ORDER BY subject
        ON CONFLICT (kind, subject)
        DO UPDATE SET cause = excluded.cause, mark = excluded.mark, since = excluded.since, count = excluded.count,
            value_cents = excluded.value_cents, job_id = excluded.job_id,
            first_at = CASE WHEN f.told_at IS NULL AND f.mark <> excluded.mark THEN excluded.first_at ELSE f.first_at END,
            told_at = CASE
                WHEN f.told_at IS NOT NULL THEN f.told_at
                WHEN f.mark = excluded.mark AND f.first_at <= excluded.first_at - $4::bigint * interval '1 microsecond' THEN excluded.first_at
            END
    RETURNING *
),
gone AS (
    DELETE FROM findings f
     WHERE NOT $3::boolean AND f.kind = $1 AND f.subject NOT IN (SELECT subject FROM found)
    RETURNING *
),
told AS MATERIALIZED (
    SELECT noted.*, found.text
      FROM noted
      JOIN found USING (subject), now
     WHERE noted.told_at = now.at
),
events AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, directory, worker_id, actor, cause, detail)
    SELECT directorybolt_uuid7(), told_at, $5, job_id, order_id, customer_id, directory, worker_id, 'system', kind,
           jsonb_strip_nulls(jsonb_build_object('subject', subject, 'cause', nullif(cause, ''), 'count', count,
               'value_cents', nullif(value_cents, 0), 'text', text,
               'since', to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
      FROM told
),
notices AS (
    SELECT CASE WHEN $8::boolean THEN subject ELSE kind END AS of_group, NULL::boolean AS resolved,
           (array_agg(text ORDER BY since, subject))[1] AS text, sum(count) AS count, nullif(sum(value_cents), 0) AS value_cents,
           (array_agg(DISTINCT job_id) FILTER (WHERE job_id IS NOT NULL))[1:10] AS jobs
      FROM told
     GROUP BY 1
    UNION ALL
    SELECT CASE WHEN $8 THEN subject ELSE kind END, true, NULL, count(*), NULL, NULL
      FROM gone
     WHERE told_at IS NOT NULL
       AND ($8 OR NOT EXISTS (SELECT FROM noted WHERE noted.told_at IS NOT NULL))
     GROUP BY 1
),
sent AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', $6 || ':' || of_group || CASE WHEN resolved THEN ':resolved' ELSE '' END,
           jsonb_strip_nulls(jsonb_build_object('v', 1, 'alert', $6::text, 'group', of_group, 'severity', nullif($7::text, ''),
               'resolved', resolved, 'text', text, 'count', count, 'value_cents', value_cents, 'job_ids', to_jsonb(jobs),
               'at', to_char(now.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))),
           now.at, now.at
      FROM notices, now
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT false, kind, subject, cause, mark, since, count, value_cents, job_id, order_id, customer_id, directory, worker_id, first_at, told_at
  FROM told
 UNION ALL
SELECT true, kind, subject, cause, mark, since, count, value_cents, job_id, order_id, customer_id, directory, worker_id, first_at, told_at
  FROM gone
 WHERE told_at IS NOT NULL;

-- name: ListFindings
SELECT kind, subject, cause, mark, since, count, value_cents, job_id, order_id, customer_id, directory, worker_id, first_at, told_at
  FROM findings
 ORDER BY since, kind, subject;

-- name: TakeTurn
-- Most who ask are too early: they look without the lock, which is written down.
INSERT INTO turns AS t (name, at)
SELECT $1, now.at
  FROM (SELECT clock_timestamp() AS at OFFSET 0) AS now
 WHERE NOT EXISTS (SELECT FROM turns early WHERE early.name = $1 AND early.at > now.at - $2::bigint * interval '1 microsecond')
    ON CONFLICT (name)
    DO UPDATE SET at = excluded.at
     WHERE t.at <= excluded.at - $2::bigint * interval '1 microsecond';
