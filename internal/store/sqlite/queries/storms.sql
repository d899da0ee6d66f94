-- Statements on the storm breaker.

-- name: LastStorm
SELECT id, opened_at, owners, dead, calm_at, closed_at, ending
  FROM storms
 ORDER BY closed_at IS NULL DESC, opened_at DESC
 LIMIT 1;

-- name: OpenStorm
INSERT INTO storms (id, opened_at, owners, dead)
VALUES (?1, ?2, ?3, ?4);

-- name: TurnBreaker
UPDATE storms
   SET calm_at = ?2, closed_at = ?3, ending = ?4
 WHERE id = ?1 AND closed_at IS NULL;

-- name: ValueInStorm
-- What the running jobs of workers are worth that are silent for half of their lease.
SELECT coalesce(sum(jobs.value_cents), 0)
  FROM jobs
  JOIN workers ON workers.id = jobs.worker_id
 WHERE jobs.state = 'in_progress' AND NOT jobs.canary AND workers.retired_at IS NULL
   AND workers.lease_until - (workers.lease_until - workers.beat_at) / 2 <= ?1;

-- name: PruneStorms
DELETE FROM storms
 WHERE closed_at < ?1;
