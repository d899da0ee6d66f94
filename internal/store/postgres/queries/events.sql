-- Statements on the history. Most events are written by the statement whose change
-- they tell, so that neither is without the other.

-- name: RecordEvents
-- Refused writes: nothing else changed, so nothing can be torn apart.
INSERT INTO events (id, at, type, job_id, worker_id, fence, actor, detail)
SELECT directorybolt_uuid7(), clock_timestamp(), 'write.fenced', lease.id, lease.worker_id, lease.fence,
       'worker:' || lease.worker_id, jsonb_build_object('verb', $4::text)
  FROM unnest($1::uuid[], $2::bigint[], $3::uuid[]) AS lease (id, fence, worker_id);

-- name: JobEvents
SELECT id, at, type, v, job_id, order_id, customer_id, directory, worker_id, fence, actor, from_state, to_state, cause, detail
  FROM events
 WHERE job_id = $1
 ORDER BY at, id;

-- name: ListEvents
-- The first condition is the index's, the second leaves out what the first repeats.
SELECT id, at, type, v, job_id, order_id, customer_id, directory, worker_id, fence, actor, from_state, to_state, cause, detail
  FROM events
 WHERE at >= $1 AND (at > $1 OR id > $2) AND ($3::uuid IS NULL OR customer_id = $3)
 ORDER BY at, id
 LIMIT $4;

-- name: PruneEvents
-- Events that belong to no job; those of a job go with it. The role may have no right
-- to delete any: a function does it.
SELECT directorybolt_prune_events($1::timestamptz, $2::integer);
