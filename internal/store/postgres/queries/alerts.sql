-- Statements on alerts. What is read and then written is so within one Update.

-- name: LockAlerts
-- Whoever reads and then writes alerts or deliveries does so alone, and after the
-- clock: the lock goes with the transaction, also behind a transaction pooler. A
-- client that freezes in the middle of it must not stop all others.
WITH locked AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(7310579618351),
           set_config('idle_in_transaction_session_timeout', '15s', true)
)
SELECT clock_timestamp()
  FROM locked;

-- name: UnreadNotices
SELECT id, kind, key, payload, not_before, attempts, created_at
  FROM outbox
 WHERE kind = 'alert' AND sent_at IS NULL
 ORDER BY created_at, id
 LIMIT $1;

-- name: LatestAlerts
-- Ids are ordered by the time they were made.
SELECT a.id, a.kind, a.group_name, a.severity, a.state, a.canary, a.first_at, a.last_at, a.count, a.value_cents, a.sample, a.lane, a.say_at, a.detail
  FROM unnest($1::text[]) AS g (name)
 CROSS JOIN LATERAL (SELECT * FROM alerts WHERE group_name = g.name ORDER BY id DESC LIMIT 1) AS a;

-- name: DueAlerts
SELECT id, kind, group_name, severity, state, canary, first_at, last_at, count, value_cents, sample, lane, say_at, detail
  FROM alerts
 WHERE say_at <= $1::timestamptz
 ORDER BY say_at, id
 LIMIT $2;

-- name: GetAlert
SELECT id, kind, group_name, severity, state, canary, first_at, last_at, count, value_cents, sample, lane, say_at, detail
  FROM alerts
 WHERE id = $1;

-- name: SaveAlert
INSERT INTO alerts (id, kind, group_name, severity, state, canary, first_at, last_at, count, value_cents, sample, lane, say_at, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    ON CONFLICT (id)
    DO UPDATE SET severity = excluded.severity, state = excluded.state, first_at = excluded.first_at,
        last_at = excluded.last_at, count = excluded.count, value_cents = excluded.value_cents, sample = excluded.sample,
        lane = excluded.lane, say_at = excluded.say_at, detail = excluded.detail;

-- name: ListAlerts
-- The latest first. An empty state is every one, without resolved ones unless $2 asks.
SELECT id, kind, group_name, severity, state, canary, first_at, last_at, count, value_cents, sample, lane, say_at, detail
  FROM alerts
 WHERE CASE $1::text WHEN '' THEN $2::boolean OR state <> 'resolved' ELSE state = $1 END
   AND ($3::text = '' OR kind = $3)
   AND ($4::timestamptz IS NULL OR last_at >= $4)
 ORDER BY last_at DESC, id DESC
 LIMIT $5;

-- name: CountUnresolved
-- How many things the alerts of a kind speak of.
SELECT coalesce(sum(count), 0)::bigint
  FROM alerts
 WHERE kind = $1 AND state <> 'resolved' AND NOT canary;

-- name: CountUnresolvedInLane
SELECT count(*)
  FROM alerts
 WHERE lane = $1 AND state <> 'resolved';

-- name: PendingAlerts
-- Whether there are notices that nobody has read, and alerts whose time has come.
SELECT EXISTS (SELECT FROM outbox WHERE kind = 'alert' AND sent_at IS NULL),
       EXISTS (SELECT FROM alerts WHERE say_at <= statement_timestamp());

-- name: PruneAlerts
DELETE FROM alerts
 WHERE id IN (SELECT id FROM alerts WHERE last_at < $1::timestamptz AND state = 'resolved' LIMIT $2);
