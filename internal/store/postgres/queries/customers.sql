-- Statements on customers.

-- name: EnsureCustomer
INSERT INTO customers (id, email, name, canary, created_at)
VALUES ($1, $2, $3, $4, clock_timestamp())
    ON CONFLICT (lower(email)) WHERE erased_at IS NULL DO NOTHING
RETURNING id;

-- name: CustomerByEmail
SELECT id
  FROM customers
 WHERE lower(email) = lower($1) AND erased_at IS NULL;

-- name: GetCustomer
SELECT id, email, name, canary, created_at
  FROM customers
 WHERE id = $1 AND erased_at IS NULL;

-- name: LockCustomer
-- Also one that was erased before: what came since is erased too.
SELECT id
  FROM customers
 WHERE id = $1
   FOR UPDATE;

-- name: CustomerJobs
-- Locked, so that none is claimed or redriven until the customer is erased.
SELECT id, kind, state
  FROM jobs
 WHERE customer_id = $1
 ORDER BY id
   FOR UPDATE;

-- name: CustomerLetters
SELECT id
  FROM dead_letters
 WHERE customer_id = $1 AND fate IS NULL
 ORDER BY id;

-- name: CustomerIdentities
SELECT DISTINCT identity
  FROM submissions
 WHERE customer_id = $1 AND identity NOT LIKE 'erased:%'
 ORDER BY identity;

-- name: CustomerEvidence
SELECT DISTINCT evidence ->> 'sha256'
  FROM submissions
 WHERE customer_id = $1 AND evidence ->> 'sha256' <> ''
 ORDER BY 1;

-- name: EraseSubmissions
-- The identity goes; its name ($3) keeps the promise that a directory gets a business
-- once. Of the evidence there remains that there was some.
UPDATE submissions
   SET identity = $3, reason = NULL, listing_url = NULL,
       evidence = CASE WHEN evidence IS NOT NULL
           THEN jsonb_strip_nulls(jsonb_build_object('rule', 'erased', 'status', evidence -> 'status', 'at', evidence -> 'at')) END
 WHERE customer_id = $1 AND identity = $2;

-- name: UnheldEvidence
-- Blobs that no submission names any more: two customers may have got the same page.
SELECT blob
  FROM unnest($1::text[]) AS given (blob)
 WHERE NOT EXISTS (SELECT FROM submissions WHERE evidence ->> 'sha256' = blob);

-- name: EraseJobs
-- The signature stays: it has no names, numbers or quoted words.
UPDATE jobs
   SET payload = '{}', idempotency_key = NULL, cause = CASE WHEN cause IS NOT NULL THEN 'erased' END
 WHERE customer_id = $1;

-- name: EraseEvents
-- What happened stays, and when; what somebody or some site said about it goes. The
-- causes that stay are words of ours.
UPDATE events
   SET cause = CASE WHEN type IN ('job.recovered', 'job.quarantined', 'job.released', 'shortfall', 'orphan.found', 'books.unbalanced')
                    THEN cause END,
       detail = detail - '{listing_url,rule,failed_with,reason,need,text}'::text[]
 WHERE job_id = ANY ($1::uuid[]);

-- name: EraseLetters
UPDATE dead_letters
   SET cause = 'erased', body = NULL, reason = NULL
 WHERE customer_id = $1;

-- name: EraseNotices
-- The gate reads them within seconds; those that were read are pruned with the outbox.
UPDATE outbox
   SET payload = payload - 'cause'
 WHERE kind = 'alert' AND payload ->> 'customer_id' = $1::uuid::text;

-- name: EraseKeys
UPDATE api_keys
   SET name = 'erased', revoked_at = coalesce(revoked_at, clock_timestamp())
 WHERE customer_id = $1;

-- name: EndCustomerSessions
DELETE FROM sessions
 WHERE key_id IN (SELECT id FROM api_keys WHERE customer_id = $1);

-- name: EraseRequests
DELETE FROM idempotency_keys
 WHERE owner IN (SELECT id FROM api_keys WHERE customer_id = $1);

-- name: ErasePauses
DELETE FROM pauses
 WHERE scope = 'customer:' || $1::uuid;

-- name: EraseCustomer
WITH erased AS (
    UPDATE customers
       SET email = 'erased', name = '', erased_at = coalesce(erased_at, clock_timestamp())
     WHERE id = $1
    RETURNING id
),
told AS (
    INSERT INTO events (id, at, type, customer_id, actor, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), 'customer.erased', id, $2, jsonb_build_object('jobs', $4::bigint, 'submissions', $5::bigint)
      FROM erased
),
journalled AS (
    INSERT INTO journal (id, at, actor, reason, act, count, value_cents, job_ids, subject)
    SELECT directorybolt_uuid7(), clock_timestamp(), $2, $3, 'customer_erase', $4, 0, '{}', 'customer ' || id
      FROM erased
     WHERE $2 <> 'system'
)
SELECT id
  FROM erased;
