-- Statements on pauses: scopes whose pending jobs are not claimed.

-- name: PauseScope
WITH paused AS (
    INSERT INTO pauses (scope, at, actor, reason)
    VALUES ($1, clock_timestamp(), $2, $3)
        ON CONFLICT (scope) DO NOTHING
    RETURNING scope, at
),
journalled AS (
    INSERT INTO journal (id, at, actor, reason, act, subject, count, value_cents, job_ids)
    SELECT directorybolt_uuid7(), at, $2, $3, 'pause', scope, 1, 0, '{}'
      FROM paused
     WHERE $2 <> 'system'
)
INSERT INTO events (id, at, type, customer_id, actor, cause, detail)
SELECT directorybolt_uuid7(), at, 'scope.paused', $4, $2, nullif($3, ''), jsonb_build_object('scope', scope)
  FROM paused;

-- name: ResumeScope
WITH resumed AS (
    DELETE FROM pauses
     WHERE scope = $1
    RETURNING scope
),
journalled AS (
    INSERT INTO journal (id, at, actor, reason, act, subject, count, value_cents, job_ids)
    SELECT directorybolt_uuid7(), clock_timestamp(), $2, $3, 'resume', scope, 1, 0, '{}'
      FROM resumed
     WHERE $2 <> 'system'
)
INSERT INTO events (id, at, type, customer_id, actor, cause, detail)
SELECT directorybolt_uuid7(), clock_timestamp(), 'scope.resumed', $4, $2, nullif($3, ''), jsonb_build_object('scope', scope)
  FROM resumed;

-- name: ListPauses
SELECT scope, at, actor, reason
  FROM pauses
 ORDER BY at, scope;
