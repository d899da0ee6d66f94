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
SELECT evidence ->> 'sha256'
  FROM submissions
 WHERE customer_id = $1 AND evidence ->> 'sha256' <> ''
 UNION
SELECT jsonb_array_elements_text(evidence -> 'earlier')
  FROM submissions
 WHERE customer_id = $1
 ORDER BY 1;

-- name: EraseSubmissions
-- The identity goes; its name ($3) keeps the promise that a directory gets a business
-- once. Of the evidence there remains that there was some.
UPDATE submissions
   SET identity = $3, reason = NULL, listing_url = NULL,
       evidence = CASE WHEN evidence IS NOT NULL
           THEN jsonb_strip_nulls(jsonb_build_object('rule', 'erased', 'status', evidence -> 'status', 'at', evidence -> 'at')) END
 WHERE customer_id = $1 AND identity = $2;

-- name: AddErasedEvidence
-- All of it: another customer that got the same page may be erased at this moment, and
-- neither erasure sees the other's. Who removes blobs asks whether somebody refers to them.
INSERT INTO erased_evidence (at, sha256)
SELECT clock_timestamp(), blob
  FROM unnest($1::text[]) AS given (blob);

-- name: ListErasedEvidence
SELECT at, sha256
  FROM erased_evidence
 WHERE (at, sha256) > ($1::timestamptz, $2::text)
 ORDER BY at, sha256
 LIMIT $3;

-- name: HeldEvidence
-- Two customers may have got the same page. The submissions are read once, however many
-- blobs there are.
WITH naming AS MATERIALIZED (
    SELECT evidence
      FROM submissions
     WHERE evidence ->> 'sha256' = ANY ($1::text[]) OR evidence -> 'earlier' ?| $1::text[]
)
SELECT blob
  FROM (SELECT evidence ->> 'sha256' FROM naming
         UNION
        SELECT jsonb_array_elements_text(evidence -> 'earlier') FROM naming) AS named (blob)
 WHERE blob = ANY ($1::text[]);

-- name: PruneErasedEvidence
DELETE FROM erased_evidence
 WHERE (at, sha256) IN (SELECT at, sha256 FROM erased_evidence WHERE at < $1::timestamptz ORDER BY at, sha256 LIMIT $2);

-- name: EraseJobs
-- The signature stays: it has no names, numbers or quoted words.
UPDATE jobs
   SET payload = '{}', idempotency_key = NULL, cause = CASE WHEN cause IS NOT NULL THEN 'erased' END
 WHERE customer_id = $1;

-- name: EraseEvents
-- What happened stays, and when; what somebody or some site said about it goes. The
-- role may have no right to change events: a function does it, for customers that are
-- erased alone.
SELECT directorybolt_erase_events($1);

-- name: EraseLetters
UPDATE dead_letters
   SET cause = 'erased', body = NULL, reason = NULL
 WHERE customer_id = $1;

-- name: EraseNotices
-- Those that the gate has read are pruned with the outbox.
UPDATE outbox
   SET payload = payload - 'cause'
 WHERE kind = 'alert' AND (payload ->> 'customer_id' = $1::uuid::text OR payload -> 'job_ids' ?| $2::uuid[]::text[]);

-- name: EraseAlerts
-- What the gate took from the notices: an alert lives until it is resolved.
UPDATE alerts
   SET sample = (SELECT jsonb_agg(CASE WHEN s.value ->> 'customer_id' = $1::uuid::text OR s.value ->> 'job_id' = ANY ($2::uuid[]::text[])
                                       THEN s.value - 'cause' ELSE s.value END ORDER BY s.place)
                   FROM jsonb_array_elements(sample) WITH ORDINALITY AS s (value, place))
 WHERE EXISTS (SELECT
                 FROM jsonb_array_elements(CASE jsonb_typeof(sample) WHEN 'array' THEN sample ELSE '[]' END) AS s (value)
                WHERE s.value ->> 'customer_id' = $1::uuid::text OR s.value ->> 'job_id' = ANY ($2::uuid[]::text[]));

-- name: EraseDeliveries
-- A message keeps no more than some of the jobs that it was made of, so all its causes
-- go where the customer is in it or in its alert.
UPDATE deliveries
   SET message = jsonb_set(message, '{groups}', (SELECT jsonb_agg(g.value - 'cause' ORDER BY g.place)
                                                   FROM jsonb_array_elements(message -> 'groups') WITH ORDINALITY AS g (value, place)))
 WHERE jsonb_path_exists(message, '$.groups[*].cause')
   AND (message ->> 'customer' = $1::uuid::text
        OR EXISTS (SELECT FROM jsonb_path_query(message, '$.groups[*].jobs[*]') AS j (id) WHERE j.id #>> '{}' = ANY ($2::uuid[]::text[]))
        OR alert_id IN (SELECT id FROM alerts WHERE detail -> 'customers' ? $1::uuid::text));

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
