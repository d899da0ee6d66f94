-- Statements on submissions: the effect ledger. The lease is checked first, in the
-- same transaction; each write repeats the state that justified it.

-- name: PlanSubmissions
INSERT INTO submissions (id, order_id, customer_id, directory, rank, identity, canary, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: RecordPlan
-- The shortfall is NULL until the plan is made.
UPDATE jobs
   SET shortfall = ?3, progress_at = ?4
 WHERE id = ?1 AND fence = ?2 AND state = 'in_progress';

-- name: ListSubmissions
SELECT id, order_id, customer_id, directory, rank, identity, state, fence, tries, due_at, intent_at, effect_deadline,
    class, reason, need, evidence, listing_url, replaced, canary, created_at, updated_at, live_at
  FROM submissions
 WHERE order_id = ?1
 ORDER BY rank, id;

-- name: CountSubmissions
SELECT state, replaced, count(*)
  FROM submissions
 WHERE order_id = ?1
 GROUP BY state, replaced;

-- name: CountDone
SELECT order_id, count(*)
  FROM submissions INDEXED BY submissions_of_order
 WHERE order_id IN (SELECT value FROM json_each(?1)) AND state NOT IN ('planned', 'submitting') AND NOT replaced
 GROUP BY order_id;

-- name: GetSubmission
SELECT id, order_id, customer_id, directory, rank, identity, state, fence, tries, due_at, intent_at, effect_deadline,
    class, reason, need, evidence, listing_url, replaced, canary, created_at, updated_at, live_at
  FROM submissions
 WHERE id = ?1;

-- name: HeldDirectories
-- ?2 is the name of the identity where its customer was erased.
SELECT directory
  FROM submissions INDEXED BY submissions_once
 WHERE identity IN (?1, ?2)
   AND state IN ('submitting', 'submitted', 'live', 'needs_action', 'uncertain')
 ORDER BY directory;

-- name: IntendSubmission
-- The intent: before this is committed, nothing leaves the house. The unique index
-- refuses a second holder of the directory.
UPDATE submissions
   SET state = 'submitting', fence = ?2, tries = tries + 1, due_at = NULL,
       intent_at = ?3, effect_deadline = ?4, class = NULL, reason = NULL, updated_at = ?3
 WHERE id = ?1 AND state = 'planned'
RETURNING id, order_id, customer_id, directory, rank, identity, state, fence, tries, due_at, intent_at, effect_deadline,
    class, reason, need, evidence, listing_url, replaced, canary, created_at, updated_at, live_at;

-- name: SettleSubmission
-- A postponement counts as a try, and so does giving up without an intent: a look that
-- comes to nothing has an end.
UPDATE submissions
   SET state = ?4, class = ?5, reason = ?6, need = ?7, evidence = coalesce(?8, evidence),
       listing_url = coalesce(?9, listing_url), due_at = ?10, replaced = ?11, updated_at = ?12,
       tries = CASE WHEN ?2 = 'planned' AND ?4 IN ('planned', 'failed') THEN tries + 1 ELSE tries END
 WHERE id = ?1 AND state = ?2 AND fence = ?3;

-- name: ObserveSubmission
UPDATE submissions
   SET state = ?3, class = ?4, reason = ?5, evidence = coalesce(?6, evidence),
       listing_url = coalesce(?7, listing_url), updated_at = ?8,
       live_at = CASE ?3 WHEN 'live' THEN ?8 ELSE live_at END
 WHERE id = ?1 AND state = ?2;
