-- Statements on API keys, browser sessions and the answers that are repeated.

-- name: AddKey
INSERT INTO api_keys (id, name, role, customer_id, hash, created_at, created_by, expires_at)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8
 WHERE ?4 IS NULL
    OR EXISTS (SELECT 1 FROM customers WHERE id = ?4 AND erased_at IS NULL);

-- name: GetKey
SELECT id, name, role, customer_id, created_at, created_by, expires_at, last_used_at, revoked_at, hash
  FROM api_keys
 WHERE id = ?1;

-- name: ListKeys
SELECT id, name, role, customer_id, created_at, created_by, expires_at, last_used_at, revoked_at, hash
  FROM api_keys
 ORDER BY created_at DESC, id;

-- name: RevokeKey
UPDATE api_keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL;

-- name: EndSessionsOfKey
DELETE FROM sessions WHERE key_id = ?1;

-- name: KeysUsed
UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, 0), ?2) WHERE id = ?1;

-- name: AddSession
INSERT INTO sessions (hash, key_id, created_at, expires_at) VALUES (?1, ?2, ?3, ?4);

-- name: EndOldSessions
DELETE FROM sessions WHERE expires_at <= ?1;

-- name: SessionKey
SELECT key_id FROM sessions WHERE hash = ?1 AND expires_at > ?2;

-- name: EndSession
DELETE FROM sessions WHERE hash = ?1;

-- name: BeginRequest
-- One row for owner and key. It is taken when it is new, when its answer is too old
-- (before ?6), or when whoever held it has not answered by now (?5) and it is the
-- same request.
INSERT INTO idempotency_keys (owner, key, fingerprint, held_until)
VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (owner, key)
    DO UPDATE SET fingerprint = excluded.fingerprint, held_until = excluded.held_until,
        answered_at = NULL, status = NULL, content_type = NULL, location = NULL, body = NULL
    WHERE answered_at < ?6
       OR answered_at IS NULL AND held_until <= ?5 AND fingerprint = excluded.fingerprint;

-- name: EarlierRequest
SELECT fingerprint, answered_at IS NOT NULL, coalesce(status, 0), coalesce(content_type, ''), coalesce(location, ''), body
  FROM idempotency_keys
 WHERE owner = ?1 AND key = ?2;

-- name: AnswerRequest
UPDATE idempotency_keys
   SET answered_at = ?8, status = ?4, content_type = ?5, location = ?6, body = ?7
 WHERE owner = ?1 AND key = ?2 AND fingerprint = ?3 AND answered_at IS NULL;

-- name: FreeRequest
DELETE FROM idempotency_keys
 WHERE owner = ?1 AND key = ?2 AND fingerprint = ?3 AND answered_at IS NULL;

-- name: PruneRequests
DELETE FROM idempotency_keys WHERE held_until < ?1;
