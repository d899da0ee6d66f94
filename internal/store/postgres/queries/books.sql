-- Statements on the books: what was paid for, and where it is. Canaries carry no money
-- and are in no sum, but their orders must balance like any other.

-- name: OrdersTouched
-- Orders that an event touched since $1 microseconds, and those noted before.
SELECT order_id
  FROM events
 WHERE at > statement_timestamp() - $1::bigint * interval '1 microsecond' AND order_id > $2
 UNION
SELECT order_id
  FROM findings
 WHERE kind = 'unbalanced' AND order_id > $2
 ORDER BY order_id
 LIMIT $3;

-- name: OrdersPaid
SELECT job_id
  FROM events
 WHERE type = 'order.created' AND job_id > $1
 ORDER BY job_id
 LIMIT $2;

-- name: JudgeOrders
-- Everything about an order is changed in one transaction, so one statement sees it
-- whole: whatever does not add up here is wrong. An order that is not planned has no
-- sums yet, unless it is completed. Letters are kept for a year.
SELECT asked.id::text, why.cause, why.cause, coalesce(j.finished_at, j.created_at, paid.at), 1::bigint,
    CASE WHEN coalesce(j.canary, paid.canary) THEN 0 ELSE coalesce(j.value_cents, paid.cents, 0) END, asked.id, asked.id,
    coalesce(j.customer_id, paid.customer_id), NULL::text, NULL::uuid
  FROM unnest($1::uuid[]) AS asked (id)
  LEFT JOIN LATERAL (
    SELECT e.at, e.customer_id, (e.detail ->> 'value_cents')::bigint AS cents, coalesce((e.detail ->> 'canary')::boolean, false) AS canary
      FROM events e
     WHERE e.job_id = asked.id AND e.type = 'order.created'
     LIMIT 1) AS paid ON true
  LEFT JOIN jobs j ON j.id = asked.id
 CROSS JOIN LATERAL (
    SELECT count(*) AS all, count(*) FILTER (WHERE s.replaced) AS replaced,
           count(*) FILTER (WHERE s.state IN ('planned', 'submitting')) AS open
      FROM submissions s
     WHERE s.order_id = asked.id) AS sums
 CROSS JOIN LATERAL (
    SELECT CASE
               WHEN j.id IS NULL AND paid.at IS NULL THEN NULL
               WHEN j.id IS NULL THEN format('%s cents were paid, and there is no such order', paid.cents)
               WHEN paid.at IS NULL THEN 'nothing says that it was paid for'
               WHEN paid.cents IS DISTINCT FROM j.value_cents
               THEN format('%s cents were paid, and the order says %s', coalesce(paid.cents::text, 'no'), j.value_cents)
               WHEN j.quota IS NOT NULL AND (j.shortfall IS NOT NULL OR j.state || '' = 'completed')
                AND j.quota <> sums.all - sums.replaced + coalesce(j.shortfall, 0)
               THEN format('quota %s, submissions %s, replaced %s, shortfall %s', j.quota, sums.all, sums.replaced, coalesce(j.shortfall, 0))
               WHEN j.state || '' = 'completed' AND sums.open > 0
               THEN format('completed, and directories not done: %s', sums.open)
               WHEN j.state || '' = 'failed' AND j.finished_at > statement_timestamp() - interval '300 days'
                AND NOT EXISTS (SELECT FROM dead_letters l WHERE l.job_id = j.id)
               THEN 'failed, and no dead letter tells of it'
           END AS cause) AS why
 WHERE why.cause IS NOT NULL
 ORDER BY 4, 1;

-- name: UnpaidOrders
SELECT j.id
  FROM jobs j
 WHERE j.kind IN ('order', 'canary')
   AND NOT EXISTS (SELECT FROM events e WHERE e.job_id = j.id AND e.type = 'order.created')
 ORDER BY j.id
 LIMIT $1;

-- name: Account
-- One row for each term of the equations: its name, its state, how many, how much.
WITH paid AS MATERIALIZED (
    SELECT e.job_id, (e.detail ->> 'value_cents')::bigint AS cents
      FROM events e
      LEFT JOIN jobs j ON j.id = e.job_id
     WHERE e.type = 'order.created' AND e.detail ->> 'canary' IS NULL AND (j.id IS NULL OR j.kind = 'order' AND NOT j.canary)
),
orders AS MATERIALIZED (
    SELECT id, state, value_cents, quota, shortfall
      FROM jobs
     WHERE kind = 'order' AND NOT canary
),
planned AS MATERIALIZED (
    SELECT s.state, s.replaced
      FROM orders o
      JOIN submissions s ON s.order_id = o.id
     WHERE o.shortfall IS NOT NULL OR o.state = 'completed'
)
SELECT 'paid', '', count(*), coalesce(sum(cents), 0)::bigint FROM paid
 UNION ALL
SELECT 'order', state, count(*), coalesce(sum(value_cents), 0)::bigint FROM orders GROUP BY state
 UNION ALL
SELECT 'archived', state, sum(jobs)::bigint, sum(value_cents)::bigint FROM job_archive WHERE kind = 'order' AND NOT canary GROUP BY state
 UNION ALL
SELECT 'bought', '', coalesce(sum(quota), 0), 0 FROM orders WHERE shortfall IS NOT NULL OR state = 'completed'
 UNION ALL
SELECT 'unplanned', '', coalesce(sum(quota), 0), 0 FROM orders WHERE shortfall IS NULL AND state <> 'completed'
 UNION ALL
SELECT 'shortfall', '', coalesce(sum(shortfall), 0), 0 FROM orders
 UNION ALL
SELECT 'submission', state, count(*), 0 FROM planned GROUP BY state
 UNION ALL
SELECT 'replaced', '', count(*) FILTER (WHERE replaced), 0 FROM planned;

-- name: AtRisk
-- $1 is how long without progress is stuck, and how long due is late, in microseconds.
-- No two of the three can be true of one job.
SELECT 'stuck', count(*), coalesce(sum(j.value_cents), 0)::bigint
  FROM jobs j
  LEFT JOIN workers w ON w.id = j.worker_id
 WHERE j.state = 'in_progress' AND NOT j.canary AND j.value_cents > 0
   AND (w.id IS NULL OR w.retired_at IS NOT NULL OR w.lease_until <= statement_timestamp()
        OR j.progress_at <= statement_timestamp() - $1::bigint * interval '1 microsecond')
 UNION ALL
SELECT 'failed', count(*), coalesce(sum(value_cents), 0)::bigint
  FROM dead_letters
 WHERE fate IS NULL AND NOT canary AND value_cents > 0
 UNION ALL
SELECT 'late', coalesce(sum(late.jobs), 0)::bigint, coalesce(sum(late.cents), 0)::bigint
  FROM unnest('{1,2,3,4}'::smallint[]) AS p (priority)
 CROSS JOIN LATERAL (
    SELECT count(*) AS jobs, sum(j.value_cents) AS cents
      FROM jobs j
     WHERE j.state = 'pending' AND NOT j.quarantined AND j.priority = p.priority
       AND j.due_at <= statement_timestamp() - $1::bigint * interval '1 microsecond'
       AND NOT j.canary AND j.value_cents > 0
     UNION ALL
    SELECT count(*), sum(j.value_cents)
      FROM jobs j
     WHERE j.state = 'pending' AND j.quarantined AND j.priority = p.priority
       AND j.due_at <= statement_timestamp() - $1::bigint * interval '1 microsecond'
       AND NOT j.canary AND j.value_cents > 0) AS late;

-- name: Protected
-- What was redriven and lost again counts as redriven.
SELECT coalesce(sum(recovered_jobs), 0)::bigint, coalesce(sum(recovered_cents), 0)::bigint, coalesce(sum(redriven_jobs), 0)::bigint,
    coalesce(sum(redriven_cents), 0)::bigint
  FROM (SELECT count(*) FILTER (WHERE redrives = 0) AS recovered_jobs, sum(value_cents) FILTER (WHERE redrives = 0) AS recovered_cents,
               count(*) FILTER (WHERE redrives > 0) AS redriven_jobs, sum(value_cents) FILTER (WHERE redrives > 0) AS redriven_cents
          FROM jobs
         WHERE state = 'completed' AND (crashes > 0 OR redrives > 0) AND finished_at >= $1 AND finished_at < $2
           AND NOT canary AND value_cents > 0
         UNION ALL
        SELECT sum(recovered_jobs), sum(recovered_cents), sum(redriven_jobs), sum(redriven_cents)
          FROM job_archive
         WHERE day >= ($1 AT TIME ZONE 'UTC')::date AND day < ($2 AT TIME ZONE 'UTC')::date AND NOT canary) AS saved;
