-- Statements on the books: what was paid for, and where it is. Canaries carry no money
-- and are in no sum, but their orders must balance like any other.

-- name: OrdersTouched
-- Orders that an event touched since ?1, and those noted before.
SELECT order_id FROM events INDEXED BY events_by_time WHERE at > ?1 AND order_id > ?2
 UNION
SELECT order_id FROM findings WHERE kind = 'unbalanced' AND order_id > ?2
 ORDER BY order_id
 LIMIT ?3;

-- name: OrdersPaid
SELECT job_id
  FROM events INDEXED BY events_of_orders
 WHERE type = 'order.created' AND job_id > ?1
 ORDER BY job_id
 LIMIT ?2;

-- name: JudgeOrders
-- Everything about an order is changed in one transaction, so one statement sees it
-- whole: whatever does not add up here is wrong. An order that is not planned has no
-- sums yet, unless it is completed. Letters are kept for a year. ?2 is 300 days ago.
WITH sums AS MATERIALIZED (
    SELECT asked.value AS id, j.id AS there, j.customer_id, j.state, j.quota, j.shortfall, j.canary, j.value_cents,
           coalesce(j.finished_at, j.created_at) AS since, j.finished_at, e.id AS paid, e.at AS paid_at, e.customer_id AS payer,
           e.detail ->> 'value_cents' AS cents, coalesce(e.detail ->> 'canary', 0) AS paid_canary,
           (SELECT count(*) FROM submissions AS s WHERE s.order_id = asked.value) AS listed,
           (SELECT count(*) FROM submissions AS s WHERE s.order_id = asked.value AND s.replaced) AS replaced,
           (SELECT count(*) FROM submissions AS s WHERE s.order_id = asked.value AND s.state IN ('planned', 'submitting')) AS open
      FROM json_each(?1) AS asked
      LEFT JOIN jobs AS j ON j.id = asked.value
      LEFT JOIN events AS e ON e.id = (SELECT id FROM events INDEXED BY events_of_orders
                                        WHERE type = 'order.created' AND job_id = asked.value LIMIT 1)),
judged AS (
    SELECT *,
           CASE
               WHEN there IS NULL AND paid IS NULL THEN NULL
               WHEN there IS NULL THEN format('%d cents were paid, and there is no such order', cents)
               WHEN paid IS NULL THEN 'nothing says that it was paid for'
               WHEN cents IS NOT value_cents THEN format('%s cents were paid, and the order says %d', coalesce(cents, 'no'), value_cents)
               WHEN quota IS NOT NULL AND (shortfall IS NOT NULL OR state = 'completed') AND quota <> listed - replaced + coalesce(shortfall, 0)
               THEN format('quota %d, submissions %d, replaced %d, shortfall %d', quota, listed, replaced, coalesce(shortfall, 0))
               WHEN state = 'completed' AND open > 0 THEN format('completed, and directories not done: %d', open)
               WHEN state = 'failed' AND finished_at > ?2 AND NOT EXISTS (SELECT 1 FROM dead_letters AS l WHERE l.job_id = sums.id)
               THEN 'failed, and no dead letter tells of it'
           END AS cause
      FROM sums)
SELECT id, cause, cause, coalesce(since, paid_at), 1, CASE WHEN coalesce(canary, paid_canary) THEN 0 ELSE coalesce(value_cents, cents, 0) END,
    id, id, coalesce(customer_id, payer), NULL, NULL
  FROM judged
 WHERE cause IS NOT NULL
 ORDER BY 4, 1;

-- name: UnpaidOrders
SELECT id
  FROM jobs
 WHERE kind IN ('order', 'canary')
   AND NOT EXISTS (SELECT 1 FROM events AS e WHERE e.job_id = jobs.id AND e.type = 'order.created')
 ORDER BY id
 LIMIT ?1;

-- name: Account
-- One row for each term of the equations: its name, its state, how many, how much.
WITH paid AS MATERIALIZED (
    SELECT e.detail ->> 'value_cents' AS cents
      FROM events AS e INDEXED BY events_of_orders
      LEFT JOIN jobs AS j ON j.id = e.job_id
     WHERE e.type = 'order.created' AND e.detail ->> 'canary' IS NULL AND (j.id IS NULL OR j.kind = 'order' AND NOT j.canary)),
orders AS MATERIALIZED (
    SELECT id, state, value_cents, quota, shortfall FROM jobs WHERE kind = 'order' AND NOT canary),
planned AS MATERIALIZED (
    SELECT s.state, s.replaced
      FROM orders AS o
      JOIN submissions AS s ON s.order_id = o.id
     WHERE o.shortfall IS NOT NULL OR o.state = 'completed')
SELECT 'paid', '', count(*), coalesce(sum(cents), 0) FROM paid
 UNION ALL
SELECT 'order', state, count(*), coalesce(sum(value_cents), 0) FROM orders GROUP BY state
 UNION ALL
SELECT 'archived', state, sum(jobs), sum(value_cents) FROM job_archive WHERE kind = 'order' AND NOT canary GROUP BY state
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
-- ?1 is now, ?2 the moment since which no progress is stuck and due is late. No two of
-- the three can be true of one job.
SELECT 'stuck', count(*), coalesce(sum(j.value_cents), 0)
  FROM jobs AS j INDEXED BY jobs_for_recovery
  LEFT JOIN workers AS w ON w.id = j.worker_id
 WHERE j.state = 'in_progress' AND NOT j.canary AND j.value_cents > 0
   AND (w.id IS NULL OR w.retired_at IS NOT NULL OR w.lease_until <= ?1 OR j.progress_at <= ?2)
 UNION ALL
SELECT 'failed', count(*), coalesce(sum(value_cents), 0)
  FROM dead_letters INDEXED BY dead_letters_open
 WHERE fate IS NULL AND NOT canary AND value_cents > 0
 UNION ALL
SELECT 'late', count(*), coalesce(sum(value_cents), 0)
  FROM (SELECT value_cents FROM jobs INDEXED BY jobs_for_claim
         WHERE state = 'pending' AND NOT quarantined AND priority IN (1, 2, 3, 4) AND due_at <= ?2 AND NOT canary AND value_cents > 0
         UNION ALL
        SELECT value_cents FROM jobs INDEXED BY jobs_quarantined
         WHERE state = 'pending' AND quarantined AND due_at <= ?2 AND NOT canary AND value_cents > 0);

-- name: Protected
-- What was redriven and lost again counts as redriven.
SELECT coalesce(sum(recovered_jobs), 0), coalesce(sum(recovered_cents), 0), coalesce(sum(redriven_jobs), 0), coalesce(sum(redriven_cents), 0)
  FROM (SELECT count(*) FILTER (WHERE redrives = 0) AS recovered_jobs, sum(value_cents) FILTER (WHERE redrives = 0) AS recovered_cents,
               count(*) FILTER (WHERE redrives > 0) AS redriven_jobs, sum(value_cents) FILTER (WHERE redrives > 0) AS redriven_cents
          FROM jobs INDEXED BY jobs_protected
         WHERE state = 'completed' AND (crashes > 0 OR redrives > 0) AND finished_at >= ?1 AND finished_at < ?2
           AND NOT canary AND value_cents > 0
         UNION ALL
        SELECT sum(recovered_jobs), sum(recovered_cents), sum(redriven_jobs), sum(redriven_cents)
          FROM job_archive
         WHERE day >= date(?1 / 1000000, 'unixepoch') AND day < date(?2 / 1000000, 'unixepoch') AND NOT canary);
