-- Statements on pauses: scopes whose pending jobs are not claimed.

-- name: PauseScope
INSERT INTO pauses (scope, at, actor, reason)
VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (scope) DO NOTHING;

-- name: ResumeScope
DELETE FROM pauses WHERE scope = ?1;

-- name: ListPauses
SELECT scope, at, actor, reason FROM pauses ORDER BY at, scope;
