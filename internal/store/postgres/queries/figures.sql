-- Statements on what reports ask of the history. Canaries are in none of them.

-- name: OrdersPlaced
SELECT count(*), coalesce(sum((detail ->> 'value_cents')::bigint), 0)::bigint
  FROM events
 WHERE type = 'order.created' AND at >= $1 AND at < $2 AND detail ->> 'canary' IS NULL;

-- name: OrdersCompleted
SELECT j.finished_at - j.created_at, j.value_cents
  FROM events e
  JOIN jobs j ON j.id = e.job_id
 WHERE e.type = 'job.completed' AND e.at >= $1 AND e.at < $2
   AND j.kind = 'order' AND j.state || '' = 'completed' AND NOT j.canary
 ORDER BY 1;

-- name: CountEvents
SELECT e.type, count(*)
  FROM events e
 WHERE e.at >= $1 AND e.at < $2 AND e.type = ANY ($3::text[])
   AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = e.job_id AND j.canary)
 GROUP BY e.type;

-- name: JobsFailed
SELECT count(DISTINCT e.job_id)
  FROM events e
 WHERE e.at >= $1 AND e.at < $2 AND e.type = 'job.failed'
   AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = e.job_id AND (j.canary OR j.kind = ANY ($3::text[])))
   AND NOT EXISTS (SELECT FROM events c WHERE c.job_id = e.job_id AND c.at >= $1 AND c.at < $2 AND c.type = 'job.completed');
