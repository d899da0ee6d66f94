-- Statements on what reports ask of the history. Canaries are in none of them.

-- name: OrdersPlaced
SELECT count(*), coalesce(sum(detail ->> 'value_cents'), 0)
  FROM events INDEXED BY events_by_time
 WHERE type = 'order.created' AND at >= ?1 AND at < ?2 AND detail ->> 'canary' IS NULL;

-- name: OrdersCompleted
SELECT j.finished_at - j.created_at, j.value_cents
  FROM events AS e INDEXED BY events_by_time
  JOIN jobs AS j ON j.id = e.job_id
 WHERE e.type = 'job.completed' AND e.at >= ?1 AND e.at < ?2
   AND j.kind = 'order' AND j.state = 'completed' AND NOT j.canary
 ORDER BY 1;

-- name: CountEvents
SELECT e.type, count(*)
  FROM events AS e INDEXED BY events_by_time
 WHERE e.at >= ?1 AND e.at < ?2 AND e.type IN (SELECT value FROM json_each(?3))
   AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.id = e.job_id AND j.canary)
 GROUP BY e.type;

-- name: JobsFailed
SELECT count(DISTINCT e.job_id)
  FROM events AS e INDEXED BY events_by_time
 WHERE e.at >= ?1 AND e.at < ?2 AND e.type = 'job.failed'
   AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.id = e.job_id AND (j.canary OR j.kind IN (SELECT value FROM json_each(?3))))
   AND NOT EXISTS (SELECT 1 FROM events AS c WHERE c.job_id = e.job_id AND c.at >= ?1 AND c.at < ?2 AND c.type = 'job.completed');
