-- Statements on API keys, browser sessions and the answers that are repeated.
-- Durations are microseconds.

-- name: AddKey
-- A customer that is erased at the same moment gets no key: its row is locked.
WITH added AS (
    INSERT INTO api_keys (id, name, role, customer_id, hash, created_at, created_by, expires_at)
    SELECT $1, $2, $3, $4, $5, clock_timestamp(), $6, $7
     WHERE $4::uuid IS NULL
        OR EXISTS (SELECT FROM customers WHERE id = $4 AND erased_at IS NULL FOR SHARE)
    RETURNING id, created_at, created_by
),
journalled AS (
    INSERT INTO journal (id, at, actor, reason, act, count, value_cents, job_ids, subject)
    SELECT directorybolt_uuid7(), created_at, created_by, $8, 'key_create', 1, 0, '{}', 'key ' || id
      FROM added
)
SELECT created_at
  FROM added;

-- name: GetKey
SELECT id, name, role, customer_id, created_at, created_by, expires_at, last_used_at, revoked_at, hash
  FROM api_keys
 WHERE id = $1;

-- name: ListKeys
SELECT id, name, role, customer_id, created_at, created_by, expires_at, last_used_at, revoked_at, hash
  FROM api_keys
 ORDER BY created_at DESC, id;

-- name: RevokeKey
WITH revoked AS (
    UPDATE api_keys
       SET revoked_at = clock_timestamp()
     WHERE id = $1 AND revoked_at IS NULL
    RETURNING id
),
ended AS (
    DELETE FROM sessions
     USING revoked
     WHERE sessions.key_id = revoked.id
),
journalled AS (
    INSERT INTO journal (id, at, actor, reason, act, count, value_cents, job_ids, subject)
    SELECT directorybolt_uuid7(), clock_timestamp(), $2, $3, 'key_revoke', 1, 0, '{}', 'key ' || id
      FROM revoked
)
SELECT id
  FROM revoked;

-- name: KeysUsed
-- In the order of ids, so that two processes cannot deadlock. Never backwards.
UPDATE api_keys k
   SET last_used_at = greatest(k.last_used_at, clock_timestamp() - used.ago * interval '1 microsecond')
  FROM (SELECT a.id, u.ago
          FROM unnest($1::text[], $2::bigint[]) AS u (id, ago)
          JOIN api_keys a ON a.id = u.id
         ORDER BY a.id
           FOR NO KEY UPDATE OF a) AS used
 WHERE k.id = used.id;

-- name: AddSession
WITH over AS (
    DELETE FROM sessions
     WHERE expires_at <= statement_timestamp()
)
INSERT INTO sessions (hash, key_id, created_at, expires_at)
SELECT $1, $2, at, at + $3::bigint * interval '1 microsecond'
  FROM (SELECT clock_timestamp() AS at OFFSET 0) AS now
RETURNING expires_at;

-- name: SessionKey
SELECT key_id
  FROM sessions
 WHERE hash = $1 AND expires_at > statement_timestamp();

-- name: EndSession
DELETE FROM sessions
 WHERE hash = $1;

-- name: BeginRequest
-- One row for owner and key. It is taken when it is new, when its answer is too old
-- ($5), or when whoever held it has not answered in time and it is the same request.
INSERT INTO idempotency_keys AS k (owner, key, fingerprint, held_until)
VALUES ($1, $2, $3, clock_timestamp() + $4::bigint * interval '1 microsecond')
    ON CONFLICT (owner, key)
    DO UPDATE SET fingerprint = excluded.fingerprint, held_until = excluded.held_until,
        answered_at = NULL, status = NULL, content_type = NULL, location = NULL, body = NULL
    WHERE k.answered_at < clock_timestamp() - $5::bigint * interval '1 microsecond'
       OR k.answered_at IS NULL AND k.held_until <= clock_timestamp() AND k.fingerprint = excluded.fingerprint
RETURNING key;

-- name: EarlierRequest
SELECT fingerprint, answered_at IS NOT NULL, coalesce(status, 0), coalesce(content_type, ''), coalesce(location, ''), body
  FROM idempotency_keys
 WHERE owner = $1 AND key = $2;

-- name: AnswerRequest
UPDATE idempotency_keys
   SET answered_at = clock_timestamp(), status = $4, content_type = $5, location = $6, body = $7
 WHERE owner = $1 AND key = $2 AND fingerprint = $3 AND answered_at IS NULL;

-- name: FreeRequest
DELETE FROM idempotency_keys
 WHERE owner = $1 AND key = $2 AND fingerprint = $3 AND answered_at IS NULL;

-- name: PruneRequests
DELETE FROM idempotency_keys
 WHERE (owner, key) IN (SELECT owner, key FROM idempotency_keys
                         WHERE held_until < $1::timestamptz
                         LIMIT $2);
