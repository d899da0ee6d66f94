-- Statements on workers and their leases. Expiry lives here and nowhere else.
-- Durations are microseconds.

-- name: RegisterWorker
INSERT INTO workers (id, host, pid, version, kinds, capacity, boot, started_at, beat_at, lease_until)
SELECT $1, $2, $3, $4, $5, $6, $8, at, at, at + $7::bigint * interval '1 microsecond'
  FROM (SELECT clock_timestamp() AS at OFFSET 0) AS now
    ON CONFLICT (id) DO NOTHING
RETURNING id;

-- name: GetWorker
SELECT id, host, pid, version, kinds, capacity, boot, started_at, beat_at, lease_until, retired_at, retired_cause,
    retired_at IS NULL AND lease_until > statement_timestamp()
  FROM workers
 WHERE id = $1;

-- name: BeatWorker
-- Nothing but the worker's own row, so that no lock on a job can delay a lease. A
-- retirement at the same moment is waited for, and the guard then read again. The row is
-- locked before it is read, as the update itself locks it: of two beats at once the later
-- one reads what the other wrote.
WITH earlier AS MATERIALIZED (
    SELECT id, beat_at, lease_until
      FROM workers
     WHERE id = $1 AND retired_at IS NULL
       FOR NO KEY UPDATE
)
UPDATE workers w
   SET beat_at = clock_timestamp(), lease_until = clock_timestamp() + $2::bigint * interval '1 microsecond'
  FROM earlier
 WHERE w.id = earlier.id AND w.retired_at IS NULL
RETURNING w.lease_until, w.beat_at, CASE WHEN earlier.lease_until > w.beat_at THEN earlier.beat_at ELSE w.beat_at END;

-- name: LostLeases
-- Of worker $3: what another has is none of its own.
SELECT lease.id, lease.fence, coalesce(j.state, '')
  FROM unnest($1::uuid[], $2::bigint[]) AS lease (id, fence)
  LEFT JOIN jobs j ON j.id = lease.id
 WHERE j.id IS NULL OR j.fence <> lease.fence OR j.state <> 'in_progress' OR j.worker_id <> $3;

-- name: StrayLeases
-- Claims of the worker that it does not report, older than $3.
SELECT id, fence
  FROM jobs
 WHERE worker_id = $1 AND state = 'in_progress'
   AND NOT id = ANY ($2::uuid[])
   AND claimed_at < statement_timestamp() - $3::bigint * interval '1 microsecond';

-- name: RetireWorker
-- Compare and set: of two callers one finds the worker retired already.
WITH retired AS (
    UPDATE workers
       SET retired_at = clock_timestamp(), retired_cause = $2
     WHERE id = $1 AND retired_at IS NULL
    RETURNING *
),
told AS (
    INSERT INTO events (id, at, type, worker_id, actor, cause, detail)
    SELECT directorybolt_uuid7(), retired_at, 'worker.retired', id, $3, retired_cause,
           jsonb_strip_nulls(jsonb_build_object('host', host, 'pid', pid, 'reason', nullif($4::text, '')))
      FROM retired
)
SELECT id, host, pid, version, kinds, capacity, boot, started_at, beat_at, lease_until, retired_at, retired_cause
  FROM retired;

-- name: RetireExpiredWorkers
-- SKIP LOCKED: a row that is locked is being renewed, or retired by another caller.
-- The UPDATE repeats the condition on the row it changes: a beat that came in
-- between has made it false.
-- With $1 the storm breaker is heard ($2 workers, held for $3), in this statement, so that
-- every monitor decides alike. Whoever fell silent together expires within a heartbeat,
-- one after the other: so it counts who is silent for half of the lease when the first
-- expires. A later start on the same host that was heard of replaced one of its silent,
-- which speaks for a death of its own: that one is not counted. And a server that began less than the lease
-- ago gave its owner no chance to beat.
WITH fleet AS MATERIALIZED (
    SELECT host, started_at, beat_at, lease_until <= statement_timestamp() AS expired,
           lease_until - (lease_until - beat_at) / 2 <= statement_timestamp() AS silent,
           min(beat_at) FILTER (WHERE lease_until - (lease_until - beat_at) / 2 <= statement_timestamp())
               OVER (PARTITION BY host) AS silent_since
      FROM workers
     WHERE retired_at IS NULL
),
hosts AS MATERIALIZED (
    SELECT count(*) AS owners, count(*) FILTER (WHERE expired) AS expired,
           greatest(0, count(*) FILTER (WHERE silent)
                       - count(*) FILTER (WHERE started_at > silent_since AND (NOT silent OR beat_at > started_at))) AS silent
      FROM fleet
     GROUP BY host
),
live AS MATERIALIZED (
    SELECT sum(owners) AS owners, sum(expired) AS expired, sum(silent) AS silent
      FROM hosts
),
breaker AS MATERIALIZED (
    SELECT $1::boolean AND coalesce(
               (SELECT statement_timestamp() < opened_at + $3::bigint * interval '1 microsecond' FROM storms WHERE closed_at IS NULL),
               expired > 0 AND silent >= $2::integer AND 2 * silent > owners, false) AS holds
      FROM live
),
expired AS MATERIALIZED (
    SELECT w.id
      FROM workers w, breaker
     WHERE w.retired_at IS NULL AND w.lease_until <= statement_timestamp()
       AND (NOT $1::boolean OR statement_timestamp() >= pg_postmaster_start_time() + (w.lease_until - w.beat_at))
       AND (NOT breaker.holds
            OR EXISTS (SELECT
                         FROM workers later
                        WHERE later.host = w.host AND later.boot <> w.boot AND later.boot <> '' AND w.boot <> ''
                          AND later.started_at > w.beat_at))
     ORDER BY w.id
       FOR UPDATE OF w SKIP LOCKED
),
retired AS (
    UPDATE workers w
       SET retired_at = clock_timestamp(), retired_cause = 'lease_expired'
      FROM expired
     WHERE w.id = expired.id AND w.retired_at IS NULL AND w.lease_until <= statement_timestamp()
    RETURNING w.*
),
told AS (
    INSERT INTO events (id, at, type, worker_id, actor, cause, detail)
    SELECT directorybolt_uuid7(), retired_at, 'worker.retired', id, 'system', retired_cause,
           jsonb_build_object('host', host, 'pid', pid, 'lease_until', to_char(lease_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
      FROM retired
)
SELECT id, host, pid, version, kinds, capacity, boot, started_at, beat_at, lease_until, retired_at, retired_cause
  FROM retired;

-- name: HoldLifeline
-- Watches hold it for a moment, shared; then this waits.
SELECT pg_advisory_lock(hashtextextended($1::uuid::text, 0));

-- name: Neighbours
-- The live workers that follow in the ring of lock keys: after the worker $1, or after
-- the key $2; and whether the lifeline of each is held. A watch takes it shared, which
-- is not holding it.
WITH ring AS MATERIALIZED (
    SELECT id, hashtextextended(id::text, 0) AS key
      FROM workers
     WHERE retired_at IS NULL AND id IS DISTINCT FROM $1::uuid
),
held AS MATERIALIZED (
    SELECT classid::bigint << 32 | objid::bigint AS key
      FROM pg_locks
     WHERE locktype = 'advisory' AND objsubid = 1 AND mode = 'ExclusiveLock' AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT id, key, EXISTS (SELECT FROM held WHERE held.key = ring.key), pg_backend_pid()
  FROM ring
 ORDER BY key <= coalesce(hashtextextended($1::uuid::text, 0), $2::bigint), key
 LIMIT $3;

-- name: ListWorkers
SELECT id, host, pid, version, kinds, capacity, boot, started_at, beat_at, lease_until, retired_at, retired_cause
  FROM workers
 WHERE retired_at IS NULL OR retired_at > statement_timestamp() - $1::bigint * interval '1 microsecond'
 ORDER BY started_at, id;

-- name: PruneWorkers
-- A worker whose jobs were not recovered yet is kept: recovery must see that it is
-- retired.
DELETE FROM workers
 WHERE id IN (SELECT w.id
                FROM workers w
               WHERE w.retired_at < $1::timestamptz
                 AND NOT EXISTS (SELECT FROM jobs j WHERE j.worker_id = w.id AND j.state = 'in_progress')
               LIMIT $2);
