-- Statements on workers. A lease ends in one place: the worker's row.

-- name: RegisterWorker
INSERT INTO workers (id, host, pid, version, kinds, capacity, started_at, beat_at, lease_until, boot)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9)
    ON CONFLICT (id) DO NOTHING;

-- name: GetWorker
SELECT id, host, pid, version, kinds, capacity, boot, started_at, beat_at, lease_until, retired_at, retired_cause
  FROM workers
 WHERE id = ?1;

-- name: BeatWorker
UPDATE workers
   SET beat_at = ?2, lease_until = ?3
 WHERE id = ?1 AND retired_at IS NULL;

-- name: LostLeases
-- Which of the leases [id, fence] are no longer their job's latest, or are not of
-- worker ?2, and the state that job is in; NULL when there is none.
SELECT lease.key, jobs.state
  FROM json_each(?1) AS lease
  LEFT JOIN jobs ON jobs.id = lease.value ->> 0
 WHERE jobs.id IS NULL OR jobs.fence <> lease.value ->> 1 OR jobs.state <> 'in_progress' OR jobs.worker_id <> ?2;

-- name: StrayLeases
-- Claims of the worker from before ?3 that it does not report: ?2 is a list of leases
-- [id, fence].
SELECT id, fence
  FROM jobs
 WHERE worker_id = ?1 AND state = 'in_progress' AND claimed_at < ?3
   AND id NOT IN (SELECT lease.value ->> 0 FROM json_each(?2) AS lease);

-- name: RetireWorker
UPDATE workers
   SET retired_at = ?2, retired_cause = ?3
 WHERE id = ?1 AND retired_at IS NULL
RETURNING id, host, pid, version, kinds, capacity, boot, started_at, beat_at, lease_until, retired_at, retired_cause;

-- name: RetireExpiredWorkers
-- ?3: the storm breaker holds, and only those go whose host booted anew.
UPDATE workers
   SET retired_at = ?1, retired_cause = ?2
 WHERE retired_at IS NULL AND lease_until <= ?1
   AND (NOT ?3
        OR EXISTS (SELECT 1
                     FROM workers AS later
                    WHERE later.host = workers.host AND later.boot <> workers.boot AND later.boot <> '' AND workers.boot <> ''
                      AND later.started_at > workers.beat_at))
RETURNING id, host, pid, version, kinds, capacity, boot, started_at, beat_at, lease_until, retired_at, retired_cause;

-- name: TallyWorkers
-- How many are not retired, how many of these have their lease over, how many are
-- silent for half of it and not replaced by a later start on their host that was heard
-- of, and how many were retired since ?2 because they died.
WITH fleet AS (
    SELECT host, started_at, beat_at, lease_until <= ?1 AS expired, lease_until - (lease_until - beat_at) / 2 <= ?1 AS silent,
           min(beat_at) FILTER (WHERE lease_until - (lease_until - beat_at) / 2 <= ?1) OVER (PARTITION BY host) AS silent_since
      FROM workers
     WHERE retired_at IS NULL
),
hosts AS (
    SELECT count(*) AS owners, sum(expired) AS expired, max(0, sum(silent)
               - count(*) FILTER (WHERE started_at > silent_since AND (NOT silent OR beat_at > started_at))) AS silent
      FROM fleet
     GROUP BY host
)
SELECT coalesce(sum(owners), 0), coalesce(sum(expired), 0), coalesce(sum(silent), 0),
       (SELECT count(*) FROM workers WHERE retired_at >= ?2 AND retired_cause <> 'stopped')
  FROM hosts;

-- name: ListWorkers
SELECT id, host, pid, version, kinds, capacity, boot, started_at, beat_at, lease_until, retired_at, retired_cause
  FROM workers
 WHERE retired_at IS NULL OR retired_at > ?1
 ORDER BY started_at, id;

-- name: PruneWorkers
-- A worker that still owns a running job is kept: recovery needs its row.
DELETE FROM workers
 WHERE retired_at < ?1
   AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.worker_id = workers.id AND jobs.state = 'in_progress');
