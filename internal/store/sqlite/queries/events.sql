-- Statements on events: added, read, and forgotten with their job.

-- name: RecordEvents
INSERT INTO events (id, at, type, job_id, order_id, customer_id, directory, worker_id, fence, actor,
    from_state, to_state, cause, detail)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: JobEvents
SELECT id, at, type, v, job_id, order_id, customer_id, directory, worker_id, fence, actor,
    from_state, to_state, cause, detail
  FROM events
 WHERE job_id = ?1
 ORDER BY at, id;

-- name: ListEvents
-- The first condition is the index's, the second leaves out what the first repeats.
SELECT id, at, type, v, job_id, order_id, customer_id, directory, worker_id, fence, actor,
    from_state, to_state, cause, detail
  FROM events INDEXED BY events_by_time
 WHERE at >= ?1 AND (at > ?1 OR id > ?2) AND (?3 IS NULL OR customer_id = ?3)
 ORDER BY at, id
 LIMIT ?4;

-- name: PruneJobEvents
DELETE FROM events WHERE job_id IN (SELECT value FROM json_each(?1));

-- name: PruneEvents
-- Events of no job, and of a job that is gone.
DELETE FROM events
 WHERE rowid IN (
    SELECT rowid
      FROM events
     WHERE at < ?1 AND (job_id IS NULL OR NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = events.job_id))
     ORDER BY at
     LIMIT ?2);
