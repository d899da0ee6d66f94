-- Statements on what monitors find wrong. Those that look answer the same columns; ?1
-- is now, ?2 now less their patience, ?3 how many they answer. None walks more than an
-- index of what is open.

-- name: FindUnknownOwners
SELECT j.worker_id, 'no_owner', '', min(j.claimed_at), count(*), coalesce(sum(j.value_cents) FILTER (WHERE NOT j.canary), 0), min(j.id),
    NULL, NULL, NULL, j.worker_id
  FROM jobs AS j INDEXED BY jobs_for_recovery
 WHERE j.state = 'in_progress' AND NOT EXISTS (SELECT 1 FROM workers AS w WHERE w.id = j.worker_id) AND ?1 >= ?2
 GROUP BY j.worker_id
 ORDER BY 4
 LIMIT ?3;

-- name: FindUnclaimed
-- Of each priority the first thousand that are due for long, as claims come to them.
-- An idle worker would take the first of its kinds; another look that finds the same
-- one first, and an idle worker again, proves that nobody claims: whoever is merely
-- between two jobs would have taken it meanwhile. A quarantined job comes first only
-- for a worker that has nothing else and runs nothing.
WITH open (id, kind, priority, due_at, value_cents, canary, quarantined) AS (
    SELECT * FROM (SELECT id, kind, priority, due_at, value_cents, canary, 0 FROM jobs AS j
         WHERE state = 'pending' AND NOT quarantined AND priority = 1 AND due_at <= ?2
           AND NOT EXISTS (SELECT 1 FROM pauses WHERE scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id))
         ORDER BY due_at, id LIMIT 1000)
    UNION ALL
    SELECT * FROM (SELECT id, kind, priority, due_at, value_cents, canary, 0 FROM jobs AS j
         WHERE state = 'pending' AND NOT quarantined AND priority = 2 AND due_at <= ?2
           AND NOT EXISTS (SELECT 1 FROM pauses WHERE scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id))
         ORDER BY due_at, id LIMIT 1000)
    UNION ALL
    SELECT * FROM (SELECT id, kind, priority, due_at, value_cents, canary, 0 FROM jobs AS j
         WHERE state = 'pending' AND NOT quarantined AND priority = 3 AND due_at <= ?2
           AND NOT EXISTS (SELECT 1 FROM pauses WHERE scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id))
         ORDER BY due_at, id LIMIT 1000)
    UNION ALL
    SELECT * FROM (SELECT id, kind, priority, due_at, value_cents, canary, 0 FROM jobs AS j
         WHERE state = 'pending' AND NOT quarantined AND priority = 4 AND due_at <= ?2
           AND NOT EXISTS (SELECT 1 FROM pauses WHERE scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id))
         ORDER BY due_at, id LIMIT 1000)
    UNION ALL
    SELECT * FROM (SELECT id, kind, priority, due_at, value_cents, canary, 1 FROM jobs AS j
         WHERE state = 'pending' AND quarantined AND due_at <= ?2
           AND NOT EXISTS (SELECT 1 FROM pauses WHERE scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id))
         ORDER BY due_at, id LIMIT 1000)),
due AS MATERIALIZED (SELECT * FROM open),
alive AS MATERIALIZED (
    SELECT w.id, w.kinds, w.capacity,
           (SELECT count(*) FROM jobs AS j INDEXED BY jobs_for_recovery WHERE j.worker_id = w.id AND j.state = 'in_progress') AS held
      FROM workers AS w
     WHERE w.retired_at IS NULL AND w.lease_until > ?1 AND EXISTS (SELECT 1 FROM due)),
next AS MATERIALIZED (
    SELECT (SELECT due.id
              FROM due
             WHERE due.kind IN (SELECT value FROM json_each(alive.kinds)) AND (NOT due.quarantined OR alive.held = 0)
             ORDER BY due.quarantined, due.priority, due.due_at, due.id
             LIMIT 1) AS id
      FROM alive
     WHERE alive.held < alive.capacity),
kinds AS (
    SELECT kind, min(due_at) AS since, count(*) AS jobs, coalesce(sum(value_cents) FILTER (WHERE NOT canary), 0) AS value_cents
      FROM due
     GROUP BY kind),
judged AS (
    SELECT k.*,
           (SELECT due.id FROM due WHERE due.kind = k.kind ORDER BY due.due_at, due.id LIMIT 1) AS job_id,
           (SELECT min(due.id) FROM due JOIN next ON next.id = due.id WHERE due.kind = k.kind) AS first,
           NOT EXISTS (SELECT 1 FROM alive) AS nobody,
           NOT EXISTS (SELECT 1 FROM alive WHERE k.kind IN (SELECT value FROM json_each(alive.kinds))) AS unable
      FROM kinds AS k)
SELECT kind, CASE WHEN nobody THEN 'no_worker' WHEN unable THEN 'no_handler' ELSE 'idle' END, coalesce(first, ''), since, jobs, value_cents, job_id,
    NULL, NULL, NULL, NULL
  FROM judged
 WHERE nobody OR unable OR first IS NOT NULL
 ORDER BY since
 LIMIT ?3;

-- name: FindUnsent
-- Due and taken by nobody, or taken again and again for a long time: each take hides
-- a message for a while.
SELECT kind, CASE WHEN min(attempts) = 0 THEN 'not_taken' ELSE 'not_accepted' END, '', min(created_at), count(*), 0, NULL, NULL, NULL, NULL, NULL
  FROM (SELECT kind, attempts, created_at
          FROM outbox INDEXED BY outbox_due
         WHERE sent_at IS NULL AND not_before <= ?1 + 900000000
           AND (not_before <= ?2 OR attempts >= 3 AND created_at <= ?2)
         LIMIT 10000) AS late
 GROUP BY kind
 ORDER BY 4
 LIMIT ?3;

-- name: FindHintsWithoutJob
SELECT o.key, 'gone', '', o.created_at, 1, 0, NULL, NULL, NULL, NULL, NULL
  FROM outbox AS o INDEXED BY outbox_due
 WHERE o.kind = 'hint' AND o.sent_at IS NULL AND o.not_before <= ?2 AND ?1 >= ?2
   AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.id = o.payload ->> 'job_id')
 ORDER BY o.not_before
 LIMIT ?3;

-- name: FindJobsWithoutHint
-- While every worker is busy a job may well wait longer than its hint was under way;
-- with one idle, the hint must be lost. One range of the index for each priority.
WITH idle (kind) AS MATERIALIZED (
    SELECT DISTINCT k.value
      FROM workers AS w, json_each(w.kinds) AS k
     WHERE w.retired_at IS NULL AND w.lease_until > ?1
       AND w.capacity > (SELECT count(*) FROM jobs AS j INDEXED BY jobs_for_recovery WHERE j.worker_id = w.id AND j.state = 'in_progress'))
SELECT j.id, 'lost', '', j.due_at, 1, CASE WHEN j.canary THEN 0 ELSE j.value_cents END, j.id, NULL, j.customer_id, NULL, NULL
  FROM jobs AS j INDEXED BY jobs_for_claim
 WHERE j.state = 'pending' AND NOT j.quarantined AND j.priority IN (1, 2, 3, 4) AND j.due_at <= ?2
   AND j.kind IN (SELECT kind FROM idle)
   AND NOT EXISTS (SELECT 1 FROM pauses AS p WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id))
   AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.kind = 'hint' AND o.key = j.id AND o.sent_at IS NULL)
 ORDER BY j.due_at
 LIMIT ?3;

-- name: FindUndecided
SELECT s.id, coalesce(j.state, 'gone'), '', s.effect_deadline, 1, CASE WHEN s.canary THEN 0 ELSE coalesce(j.value_cents / nullif(j.quota, 0), 0) END,
    s.order_id, s.order_id, s.customer_id, s.directory, NULL
  FROM submissions AS s INDEXED BY submissions_undecided
  LEFT JOIN jobs AS j ON j.id = s.order_id
 WHERE s.state = 'submitting' AND s.effect_deadline <= ?2 AND ?1 >= ?2
   AND (j.id IS NULL OR j.state IN ('completed', 'failed', 'cancelled'))
 ORDER BY s.effect_deadline
 LIMIT ?3;

-- name: RetireUnknownOwners
-- The row says for ever that this worker may do nothing: should it live after all, its
-- next beat ends it. Recovery then takes its jobs as those of any retired worker.
INSERT INTO workers (id, host, pid, version, kinds, capacity, started_at, beat_at, lease_until, retired_at, retired_cause)
SELECT ?1, 'unknown', 0, '', '[]', 1, ?2, ?2, ?2, ?2, 'no_owner'
 WHERE EXISTS (SELECT 1 FROM jobs WHERE worker_id = ?1 AND state = 'in_progress')
    ON CONFLICT (id) DO NOTHING;

-- name: DropHints
DELETE FROM outbox
 WHERE kind = 'hint' AND sent_at IS NULL AND key IN (SELECT value FROM json_each(?1))
   AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.id = outbox.payload ->> 'job_id');

-- name: HintAgain
-- A hint too many finds nothing to claim. An unsent one is left as it is.
INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
SELECT ?1, 'hint', id, json_object('v', 1, 'job_id', id), ?3, ?3
  FROM jobs
 WHERE id = ?2 AND state = 'pending' AND due_at <= ?3
    ON CONFLICT (kind, key) WHERE sent_at IS NULL DO NOTHING;

-- name: EndUndecided
UPDATE submissions
   SET state = 'uncertain', class = 'in_doubt', reason = CASE WHEN coalesce(reason, '') = '' THEN ?3 ELSE reason || '; ' || ?3 END, updated_at = ?4
 WHERE id = ?1 AND state = 'submitting' AND effect_deadline <= ?2
   AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.id = submissions.order_id AND j.state IN ('pending', 'in_progress'))
RETURNING id, order_id, customer_id, directory, rank, identity, state, fence, tries, due_at, intent_at, effect_deadline,
    class, reason, need, evidence, listing_url, replaced, canary, created_at, updated_at, live_at;

-- name: NoteFindings
INSERT INTO findings (kind, subject, cause, mark, since, count, value_cents, job_id, order_id, customer_id, directory, worker_id, first_at, told_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (kind, subject)
    DO UPDATE SET cause = excluded.cause, mark = excluded.mark, since = excluded.since, count = excluded.count,
        value_cents = excluded.value_cents, job_id = excluded.job_id, first_at = excluded.first_at, told_at = excluded.told_at;

-- name: ForgetFinding
DELETE FROM findings WHERE kind = ?1 AND subject = ?2;

-- name: ListFindings
SELECT kind, subject, cause, mark, since, count, value_cents, job_id, order_id, customer_id, directory, worker_id, first_at, told_at
  FROM findings
 ORDER BY since, kind, subject;

-- name: TakeTurn
INSERT INTO turns (name, at)
VALUES (?1, ?2)
    ON CONFLICT (name)
    DO UPDATE SET at = excluded.at
     WHERE turns.at <= excluded.at - ?3;
