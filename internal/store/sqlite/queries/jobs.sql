-- Statements on jobs. Every write about a running job names id, fence and state;
-- no row changed means that the lease is lost. Lists go in as JSON arrays.

-- name: EnqueueJobs
INSERT INTO jobs (id, kind, priority, due_at, customer_id, package, quota, value_cents, canary, payload,
    max_attempts, crash_budget, idempotency_key, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: EnqueuedBefore
SELECT id FROM jobs WHERE idempotency_key = ?1;

-- name: ClaimGuard
-- Whether the worker may claim, and the kinds among ?3 that are not paused.
SELECT retired_at IS NULL AND lease_until > ?2,
    (SELECT json_group_array(value)
       FROM json_each(?3)
      WHERE NOT EXISTS (SELECT 1 FROM pauses WHERE scope IN ('all', 'kind:' || value)))
  FROM workers
 WHERE id = ?1;

-- name: ClaimJobs
-- The due jobs of one priority. Only one writer at a time holds the file, so what
-- the inner SELECT found is still pending when the UPDATE comes to it.
UPDATE jobs
   SET state = 'in_progress', fence = fence + 1, attempt = attempt + 1,
       worker_id = ?1, claimed_at = ?2, progress_at = ?2
 WHERE rowid IN (
    SELECT rowid
      FROM jobs INDEXED BY jobs_for_claim
     WHERE state = 'pending' AND NOT quarantined AND priority = ?5 AND due_at <= ?2
       AND kind IN (SELECT value FROM json_each(?4))
       AND (customer_id IS NULL OR 'customer:' || customer_id NOT IN (SELECT scope FROM pauses))
     ORDER BY due_at, id
     LIMIT ?3)
RETURNING id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key;

-- name: ClaimOldest
-- The oldest due of any priority: one short range for each, then the oldest of these.
UPDATE jobs
   SET state = 'in_progress', fence = fence + 1, attempt = attempt + 1,
       worker_id = ?1, claimed_at = ?2, progress_at = ?2
 WHERE rowid IN (
    WITH free (kind) AS MATERIALIZED (SELECT value FROM json_each(?4)),
    due (job, due_at, id) AS (
        SELECT * FROM (SELECT rowid, due_at, id FROM jobs INDEXED BY jobs_for_claim
             WHERE state = 'pending' AND NOT quarantined AND priority = 1 AND due_at <= ?2 AND kind IN free
               AND (customer_id IS NULL OR 'customer:' || customer_id NOT IN (SELECT scope FROM pauses))
             ORDER BY due_at, id LIMIT ?3)
        UNION ALL
        SELECT * FROM (SELECT rowid, due_at, id FROM jobs INDEXED BY jobs_for_claim
             WHERE state = 'pending' AND NOT quarantined AND priority = 2 AND due_at <= ?2 AND kind IN free
               AND (customer_id IS NULL OR 'customer:' || customer_id NOT IN (SELECT scope FROM pauses))
             ORDER BY due_at, id LIMIT ?3)
        UNION ALL
        SELECT * FROM (SELECT rowid, due_at, id FROM jobs INDEXED BY jobs_for_claim
             WHERE state = 'pending' AND NOT quarantined AND priority = 3 AND due_at <= ?2 AND kind IN free
               AND (customer_id IS NULL OR 'customer:' || customer_id NOT IN (SELECT scope FROM pauses))
             ORDER BY due_at, id LIMIT ?3)
        UNION ALL
        SELECT * FROM (SELECT rowid, due_at, id FROM jobs INDEXED BY jobs_for_claim
             WHERE state = 'pending' AND NOT quarantined AND priority = 4 AND due_at <= ?2 AND kind IN free
               AND (customer_id IS NULL OR 'customer:' || customer_id NOT IN (SELECT scope FROM pauses))
             ORDER BY due_at, id LIMIT ?3))
    SELECT job FROM due ORDER BY due_at, id LIMIT ?3)
RETURNING id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key;

-- name: ClaimQuarantined
UPDATE jobs
   SET state = 'in_progress', fence = fence + 1, attempt = attempt + 1,
       worker_id = ?1, claimed_at = ?2, progress_at = ?2
 WHERE rowid IN (
    SELECT rowid
      FROM jobs
     WHERE state = 'pending' AND quarantined AND due_at <= ?2
       AND kind IN (SELECT value FROM json_each(?4))
       AND (customer_id IS NULL OR 'customer:' || customer_id NOT IN (SELECT scope FROM pauses))
     ORDER BY due_at, id
     LIMIT ?3)
RETURNING id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key;

-- name: HasQuarantined
SELECT EXISTS (
    SELECT 1
      FROM jobs
     WHERE state = 'pending' AND quarantined AND due_at <= ?1
       AND kind IN (SELECT value FROM json_each(?2)
                     WHERE NOT EXISTS (SELECT 1 FROM pauses WHERE scope IN ('all', 'kind:' || value)))
       AND (customer_id IS NULL OR 'customer:' || customer_id NOT IN (SELECT scope FROM pauses)));

-- name: CompleteJobs
-- ?2 is a list of [id, fence]. The + keeps the planner off jobs_for_recovery, which
-- it would walk for each lease once somebody has run ANALYZE.
UPDATE jobs
   SET state = 'completed', finished_at = ?1
  FROM json_each(?2) AS lease
 WHERE jobs.id = lease.value ->> 0
   AND jobs.fence = lease.value ->> 1
   AND +jobs.state = 'in_progress'
RETURNING jobs.id, jobs.fence, jobs.kind, jobs.customer_id, jobs.worker_id, jobs.attempt, jobs.claimed_at;

-- name: RunningJob
SELECT id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key
  FROM jobs
 WHERE id = ?1 AND fence = ?2 AND state = 'in_progress';

-- name: FailJob
UPDATE jobs
   SET state = ?3, failures = failures + 1, due_at = ?4, finished_at = ?5, claimed_at = ?6, progress_at = ?7,
       quarantined = ?8, cause = ?9, class = ?10, signature = ?11
 WHERE id = ?1 AND fence = ?2 AND state = 'in_progress';

-- name: ReleaseJobs
UPDATE jobs
   SET state = 'pending', attempt = attempt - 1, claimed_at = NULL, progress_at = NULL
 WHERE id = ?1 AND fence = ?2 AND state = 'in_progress';

-- name: SnoozeJob
UPDATE jobs
   SET state = 'pending', attempt = attempt - 1, due_at = ?3, claimed_at = NULL, progress_at = NULL
 WHERE id = ?1 AND fence = ?2 AND state = 'in_progress';

-- name: CancelRunningJob
UPDATE jobs
   SET state = 'cancelled', finished_at = ?3, cause = ?4
 WHERE id = ?1 AND fence = ?2 AND state = 'in_progress';

-- name: ProgressJob
-- Of the worker's own jobs alone: whoever guesses a fence keeps nobody else's alive.
UPDATE jobs
   SET progress_at = ?3
 WHERE id = ?1 AND fence = ?2 AND state = 'in_progress' AND +worker_id = ?4;

-- name: RecoverableJobs
-- Jobs whose owner is retired, with the cause of its retirement; ?2 alone, or any.
SELECT w.retired_cause, j.id, j.kind, j.state, j.priority, j.due_at, j.customer_id, j.package, j.quota, j.shortfall,
    j.value_cents, j.canary, j.payload, j.fence, j.attempt, j.failures, j.crashes, j.max_attempts, j.crash_budget,
    j.quarantined, j.redrives, j.worker_id, j.created_at, j.claimed_at, j.progress_at, j.finished_at, j.cause, j.class,
    j.signature, j.idempotency_key
  FROM jobs AS j INDEXED BY jobs_for_recovery
 CROSS JOIN workers AS w ON w.id = j.worker_id
 WHERE j.state = 'in_progress' AND w.retired_at IS NOT NULL AND (?2 IS NULL OR j.id = ?2)
 LIMIT ?1;

-- name: RecoverJobs
-- ?2 is a list of [id, fence, due_at, quarantined, …], all for one cause and to one
-- state, ?6: each look into the list costs as much as a column of the row. The guard repeats what justified the move: same fence, still in progress, owner retired.
-- The + keeps the planner off jobs_for_recovery, as in CompleteJobs.
UPDATE jobs
   SET state = ?6, crashes = crashes + 1, due_at = moved.value ->> 2, quarantined = moved.value ->> 3,
       finished_at = CASE ?6 WHEN 'failed' THEN ?1 END,
       claimed_at = CASE ?6 WHEN 'failed' THEN claimed_at END,
       progress_at = CASE ?6 WHEN 'failed' THEN progress_at END,
       cause = ?3, class = ?4, signature = ?5
  FROM json_each(?2) AS moved
 WHERE jobs.id = moved.value ->> 0
   AND jobs.fence = moved.value ->> 1
   AND +jobs.state = 'in_progress'
   AND jobs.worker_id IN (SELECT id FROM workers WHERE retired_at IS NOT NULL);

-- name: StalledJobs
-- Jobs of workers that live, without progress since ?3; ?2 alone, or any.
SELECT j.id, j.kind, j.state, j.priority, j.due_at, j.customer_id, j.package, j.quota, j.shortfall,
    j.value_cents, j.canary, j.payload, j.fence, j.attempt, j.failures, j.crashes, j.max_attempts, j.crash_budget,
    j.quarantined, j.redrives, j.worker_id, j.created_at, j.claimed_at, j.progress_at, j.finished_at, j.cause, j.class,
    j.signature, j.idempotency_key
  FROM jobs AS j INDEXED BY jobs_for_recovery
 CROSS JOIN workers AS w ON w.id = j.worker_id
 WHERE j.state = 'in_progress' AND j.progress_at <= ?3 AND w.retired_at IS NULL AND w.lease_until > ?4
   AND (?2 IS NULL OR j.id = ?2)
 LIMIT ?1;

-- name: RecoverStalledJobs
-- As RecoverJobs, but the owner may live: the guard is the progress that was read.
UPDATE jobs
   SET state = ?6, crashes = crashes + 1, due_at = moved.value ->> 2, quarantined = moved.value ->> 3,
       finished_at = CASE ?6 WHEN 'failed' THEN ?1 END,
       claimed_at = CASE ?6 WHEN 'failed' THEN claimed_at END,
       progress_at = CASE ?6 WHEN 'failed' THEN progress_at END,
       cause = ?3, class = ?4, signature = ?5
  FROM json_each(?2) AS moved
 WHERE jobs.id = moved.value ->> 0
   AND jobs.fence = moved.value ->> 1
   AND +jobs.state = 'in_progress'
   AND jobs.progress_at = moved.value ->> 4;

-- name: CancelJob
UPDATE jobs
   SET state = 'cancelled', finished_at = ?2, cause = ?3
 WHERE id = ?1 AND state IN ('pending', 'in_progress');

-- name: RedriveJob
UPDATE jobs
   SET state = 'pending', due_at = ?2, attempt = 0, failures = 0, crashes = 0, quarantined = 0,
       redrives = redrives + 1, claimed_at = NULL, progress_at = NULL, finished_at = NULL
 WHERE id = ?1 AND state = 'failed';

-- name: HastenJob
UPDATE jobs
   SET due_at = ?2
 WHERE id = ?1 AND state = 'pending';

-- name: GetJob
SELECT id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key
  FROM jobs
 WHERE id = ?1;

-- name: ListJobs
-- Newest first. An empty or NULL filter selects all.
SELECT id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key
  FROM jobs
 WHERE (?1 = '' OR state = ?1)
   AND (?2 = '' OR kind = ?2)
   AND (?3 OR NOT canary)
   AND id < ?4
 ORDER BY id DESC
 LIMIT ?5;

-- name: ListJobsOfCustomer
SELECT id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key
  FROM jobs INDEXED BY jobs_of_customer
 WHERE customer_id = ?6
   AND (?1 = '' OR state = ?1)
   AND (?2 = '' OR kind = ?2)
   AND (?3 OR NOT canary)
   AND id < ?4
 ORDER BY id DESC
 LIMIT ?5;

-- name: Line
-- Due jobs in the order in which claims come to them.
SELECT j.id, j.priority, j.due_at
  FROM jobs AS j INDEXED BY jobs_for_claim
 WHERE j.state = 'pending' AND NOT j.quarantined AND j.due_at <= ?1
   AND j.kind IN (SELECT value FROM json_each(?2))
   AND (NOT EXISTS (SELECT 1 FROM pauses)
        OR NOT EXISTS (SELECT 1
                         FROM pauses AS p
                        WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id)))
 ORDER BY j.priority, j.due_at, j.id
 LIMIT ?3;

-- name: OrdersOf
-- The order that people ask about, and beside it how many the customer has of each
-- state: one that runs, else the first that claims come to, else the newest.
SELECT id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, NULL,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key,
    count(*) FILTER (WHERE state = 'pending') OVER (), count(*) FILTER (WHERE state = 'in_progress') OVER (),
    count(*) FILTER (WHERE state = 'completed') OVER (), count(*) FILTER (WHERE state = 'failed') OVER (),
    count(*) FILTER (WHERE state = 'cancelled') OVER ()
  FROM jobs INDEXED BY jobs_of_customer
 WHERE customer_id = ?1 AND kind = 'order' AND NOT canary
 ORDER BY CASE state WHEN 'in_progress' THEN 1 WHEN 'pending' THEN 2 ELSE 3 END,
    CASE state WHEN 'pending' THEN priority END, CASE state WHEN 'pending' THEN due_at END,
    CASE state WHEN 'pending' THEN id END, id DESC
 LIMIT 1;

-- name: StaleJobs
-- Running jobs that recovery takes or is about to, and by which of its conditions.
SELECT id, kind, cause, since, fence, crashes, crash_budget, value_cents, canary, worker_id, host, pid, beat_at, claimed_at,
    progress_at
  FROM (SELECT j.id, j.kind, j.fence, j.crashes, j.crash_budget, j.value_cents, j.canary, j.worker_id, w.host, w.pid, w.beat_at,
               j.claimed_at, j.progress_at,
               CASE
                   WHEN w.id IS NULL THEN 'no_owner'
                   WHEN w.retired_at IS NOT NULL THEN w.retired_cause
                   WHEN w.lease_until <= ?1 THEN 'lease_expired'
                   WHEN j.progress_at <= ?2 THEN 'no_progress'
               END AS cause,
               CASE
                   WHEN w.id IS NULL THEN j.claimed_at
                   WHEN w.retired_at IS NOT NULL THEN w.retired_at
                   WHEN w.lease_until <= ?1 THEN w.lease_until
                   ELSE j.progress_at
               END AS since
          FROM jobs AS j INDEXED BY jobs_for_recovery
          LEFT JOIN workers AS w ON w.id = j.worker_id
         WHERE j.state = 'in_progress') AS running
 WHERE cause IS NOT NULL
 ORDER BY since, id
 LIMIT ?3;

-- name: JobsAhead
-- Due jobs that a claim takes before job ?1, as far as ?4; what is paused is not in
-- its way.
SELECT count(*)
  FROM (SELECT 1
          FROM jobs AS mine
         CROSS JOIN jobs AS j INDEXED BY jobs_for_claim
            ON (j.priority, j.due_at, j.id) < (mine.priority, mine.due_at, mine.id)
         WHERE mine.id = ?1 AND j.state = 'pending' AND NOT j.quarantined AND j.due_at <= ?2
           AND j.kind IN (SELECT value FROM json_each(?3))
           AND NOT EXISTS (SELECT 1
                             FROM pauses AS p
                            WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id))
         LIMIT ?4) AS ahead;

-- name: Standings
SELECT id, state, due_at <= ?2, priority, customer_id, finished_at
  FROM jobs
 WHERE id IN (SELECT value FROM json_each(?1));

-- name: CountJobs
SELECT state, count(*)
  FROM jobs
 WHERE NOT canary
 GROUP BY state;

-- name: MeasureLoad
-- What is pending lies in two indexes, and is read from each. ?2 is an id from before
-- today: ids are ordered by time, and lead to today's letters without an index on theirs.
SELECT ?1, waiting.jobs, running.jobs, waiting.due, waiting.oldest, dead.letters
  FROM (SELECT count(*) FILTER (WHERE NOT canary) AS jobs, count(*) FILTER (WHERE due) AS due,
               min(due_at) FILTER (WHERE due) AS oldest
          FROM (SELECT canary, due_at,
                       due_at <= ?1
                       AND (NOT EXISTS (SELECT 1 FROM pauses)
                            OR NOT EXISTS (SELECT 1 FROM pauses WHERE scope IN ('all', 'kind:' || kind, 'customer:' || customer_id))) AS due
                  FROM (SELECT kind, customer_id, canary, due_at FROM jobs WHERE state = 'pending' AND NOT quarantined
                        UNION ALL
                        SELECT kind, customer_id, canary, due_at FROM jobs WHERE state = 'pending' AND quarantined))) AS waiting
 CROSS JOIN (SELECT count(*) AS jobs FROM jobs WHERE state = 'in_progress' AND NOT canary) AS running
 CROSS JOIN (SELECT count(*) AS letters
               FROM dead_letters
              WHERE id >= ?2 AND job_id IS NOT NULL AND NOT canary
                AND at >= ?1 - ?1 % 86400000000) AS dead;

-- name: DueJobs
-- Whether a claim may find something. It probes one range for each priority.
SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'pending' AND NOT quarantined AND priority = 1 AND due_at <= ?1)
    OR EXISTS (SELECT 1 FROM jobs WHERE state = 'pending' AND NOT quarantined AND priority = 2 AND due_at <= ?1)
    OR EXISTS (SELECT 1 FROM jobs WHERE state = 'pending' AND NOT quarantined AND priority = 3 AND due_at <= ?1)
    OR EXISTS (SELECT 1 FROM jobs WHERE state = 'pending' AND NOT quarantined AND priority = 4 AND due_at <= ?1)
    OR EXISTS (SELECT 1 FROM jobs WHERE state = 'pending' AND quarantined AND due_at <= ?1);

-- name: PrunableJobs
-- A page of jobs in the order they came, so that a pass can stop at the first that
-- is too young and never walks the table.
SELECT rowid, id, created_at, state IN ('completed', 'cancelled') AND finished_at < ?2
  FROM jobs
 WHERE rowid > ?1
 ORDER BY rowid
 LIMIT ?3;

-- name: ArchiveJobs
INSERT INTO job_archive (day, kind, package, state, canary, jobs, value_cents, recovered_jobs, recovered_cents, redriven_jobs, redriven_cents)
SELECT date(finished_at / 1000000, 'unixepoch'), kind, coalesce(package, ''), state, canary, count(*), sum(value_cents),
    count(*) FILTER (WHERE state = 'completed' AND value_cents > 0 AND redrives = 0 AND crashes > 0),
    coalesce(sum(value_cents) FILTER (WHERE state = 'completed' AND redrives = 0 AND crashes > 0), 0),
    count(*) FILTER (WHERE state = 'completed' AND value_cents > 0 AND redrives > 0),
    coalesce(sum(value_cents) FILTER (WHERE state = 'completed' AND redrives > 0), 0)
  FROM jobs
 WHERE id IN (SELECT value FROM json_each(?1)) AND state IN ('completed', 'cancelled')
 GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (day, kind, package, state, canary)
    DO UPDATE SET jobs = jobs + excluded.jobs, value_cents = value_cents + excluded.value_cents,
        recovered_jobs = recovered_jobs + excluded.recovered_jobs, recovered_cents = recovered_cents + excluded.recovered_cents,
        redriven_jobs = redriven_jobs + excluded.redriven_jobs, redriven_cents = redriven_cents + excluded.redriven_cents;

-- name: PruneJobs
DELETE FROM jobs
 WHERE id IN (SELECT value FROM json_each(?1)) AND state IN ('completed', 'cancelled');

-- name: PruneArchive
DELETE FROM job_archive WHERE day < date(?1 / 1000000, 'unixepoch');

-- name: StoreNow
-- SQLite has no clock that other processes share and tests can turn; the store
-- has one. This proves that the file answers.
SELECT ?1;
