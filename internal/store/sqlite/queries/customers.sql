-- Statements on customers.

-- name: EnsureCustomer
INSERT INTO customers (id, email, name, canary, created_at)
VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (lower(email)) WHERE erased_at IS NULL DO NOTHING;

-- name: CustomerByEmail
SELECT id FROM customers WHERE lower(email) = lower(?1) AND erased_at IS NULL;

-- name: GetCustomer
SELECT id, email, name, canary, created_at
  FROM customers
 WHERE id = ?1 AND erased_at IS NULL;

-- name: LockCustomer
-- Also one that was erased before: what came since is erased too.
SELECT id FROM customers WHERE id = ?1;

-- name: CustomerJobs
SELECT id, kind, state FROM jobs INDEXED BY jobs_of_customer WHERE customer_id = ?1 ORDER BY id;

-- name: CustomerLetters
SELECT id FROM dead_letters WHERE customer_id = ?1 AND fate IS NULL ORDER BY id;

-- name: CustomerIdentities
SELECT DISTINCT identity FROM submissions WHERE customer_id = ?1 AND identity NOT LIKE 'erased:%' ORDER BY identity;

-- name: CustomerEvidence
SELECT evidence ->> 'sha256' FROM submissions WHERE customer_id = ?1 AND evidence ->> 'sha256' <> ''
 UNION
SELECT e.value FROM submissions, json_each(evidence, '$.earlier') AS e WHERE customer_id = ?1
 ORDER BY 1;

-- name: EraseSubmissions
-- The identity goes; its name (?3) keeps the promise that a directory gets a business
-- once. Of the evidence there remains that there was some.
UPDATE submissions
   SET identity = ?3, reason = NULL, listing_url = NULL,
       evidence = CASE WHEN evidence IS NOT NULL
           THEN json_object('rule', 'erased', 'status', evidence ->> 'status', 'at', evidence ->> 'at') END
 WHERE customer_id = ?1 AND identity = ?2;

-- name: AddErasedEvidence
-- All of it: who removes blobs asks whether somebody still refers to them.
INSERT INTO erased_evidence (at, sha256) SELECT ?1, value FROM json_each(?2);

-- name: ListErasedEvidence
SELECT at, sha256 FROM erased_evidence WHERE (at, sha256) > (?1, ?2) ORDER BY at, sha256 LIMIT ?3;

-- name: HeldEvidence
-- Two customers may have got the same page. The submissions are read once, however many
-- blobs there are.
WITH asked AS MATERIALIZED (SELECT value AS blob FROM json_each(?1)),
naming AS MATERIALIZED (
    SELECT evidence
      FROM submissions
     WHERE evidence ->> 'sha256' IN (SELECT blob FROM asked)
        OR EXISTS (SELECT 1 FROM json_each(submissions.evidence, '$.earlier') AS e WHERE e.value IN (SELECT blob FROM asked))
)
SELECT evidence ->> 'sha256' AS blob FROM naming WHERE blob IN (SELECT blob FROM asked)
 UNION
SELECT e.value FROM naming, json_each(naming.evidence, '$.earlier') AS e WHERE e.value IN (SELECT blob FROM asked);

-- name: PruneErasedEvidence
DELETE FROM erased_evidence
 WHERE (at, sha256) IN (SELECT at, sha256 FROM erased_evidence WHERE at < ?1 ORDER BY at, sha256 LIMIT ?2);

-- name: EraseJobs
-- The signature stays: it has no names, numbers or quoted words.
UPDATE jobs
   SET payload = '{}', idempotency_key = NULL, cause = CASE WHEN cause IS NOT NULL THEN 'erased' END
 WHERE customer_id = ?1;

-- name: EraseEvents
-- What happened stays, and when; what somebody or some site said about it goes. The
-- causes that stay are words of ours.
UPDATE events
   SET cause = CASE WHEN type IN ('job.recovered', 'job.quarantined', 'job.released', 'shortfall', 'orphan.found', 'books.unbalanced')
                    THEN cause END,
       detail = json_remove(detail, '$.listing_url', '$.rule', '$.failed_with', '$.reason', '$.need', '$.text')
 WHERE job_id IN (SELECT value FROM json_each(?1));

-- name: EraseLetters
UPDATE dead_letters SET cause = 'erased', body = NULL, reason = NULL WHERE customer_id = ?1;

-- name: EraseNotices
-- Those that the gate has read are pruned with the outbox.
UPDATE outbox
   SET payload = json_remove(payload, '$.cause')
 WHERE kind = 'alert' AND (payload ->> 'customer_id' = ?1
        OR EXISTS (SELECT 1 FROM json_each(payload, '$.job_ids') WHERE value IN (SELECT value FROM json_each(?2))));

-- name: EraseAlerts
-- What the gate took from the notices: an alert lives until it is resolved.
UPDATE alerts
   SET sample = (SELECT json_group_array(json(CASE WHEN s.value ->> 'customer_id' = ?1 OR s.value ->> 'job_id' IN (SELECT value FROM json_each(?2))
                                                   THEN json_remove(s.value, '$.cause') ELSE s.value END))
                   FROM json_each(alerts.sample) AS s)
 WHERE json_type(sample) = 'array'
   AND EXISTS (SELECT 1
                 FROM json_each(alerts.sample) AS s
                WHERE s.value ->> 'customer_id' = ?1 OR s.value ->> 'job_id' IN (SELECT value FROM json_each(?2)));

-- name: EraseDeliveries
-- A message keeps no more than some of the jobs that it was made of, so all its causes
-- go where the customer is in it or in its alert.
UPDATE deliveries
   SET message = json_set(message, '$.groups', json((SELECT json_group_array(json(json_remove(g.value, '$.cause')))
                                                       FROM json_each(deliveries.message, '$.groups') AS g)))
 WHERE json_type(message, '$.groups') = 'array'
   AND (message ->> 'customer' = ?1
        OR EXISTS (SELECT 1
                     FROM json_each(deliveries.message, '$.groups') AS g
                     JOIN json_each(g.value, '$.jobs') AS j
                    WHERE j.value IN (SELECT value FROM json_each(?2)))
        OR alert_id IN (SELECT a.id FROM alerts AS a JOIN json_each(a.detail, '$.customers') AS c WHERE c.value = ?1));

-- name: EraseKeys
UPDATE api_keys SET name = 'erased', revoked_at = coalesce(revoked_at, ?2) WHERE customer_id = ?1;

-- name: EndCustomerSessions
DELETE FROM sessions WHERE key_id IN (SELECT id FROM api_keys WHERE customer_id = ?1);

-- name: EraseRequests
DELETE FROM idempotency_keys WHERE owner IN (SELECT id FROM api_keys WHERE customer_id = ?1);

-- name: ErasePauses
DELETE FROM pauses WHERE scope = 'customer:' || ?1;

-- name: EraseCustomer
UPDATE customers SET email = 'erased', name = '', erased_at = coalesce(erased_at, ?2) WHERE id = ?1;
