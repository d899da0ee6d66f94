-- Statements on the storm breaker. What it holds is held in RetireExpiredWorkers.

-- name: TurnBreaker
-- Opens a storm, notes that it calmed, or closes it, with event and notice. $1 is the
-- workers' lease, $2 how many must seem dead, $3 how long recovery is held. Two
-- monitors at once: the unique index admits one storm, and the row is turned by whoever
-- locks it first. Its time is over only when the dead are retired: closed before, by one
-- monitor whose look came too early for that, it would be opened again at once by the next,
-- for the same dead, and hold them for another time.
WITH fleet AS MATERIALIZED (
    SELECT host, started_at, beat_at, lease_until <= statement_timestamp() AS expired,
           lease_until - (lease_until - beat_at) / 2 <= statement_timestamp() AS silent,
           min(beat_at) FILTER (WHERE lease_until - (lease_until - beat_at) / 2 <= statement_timestamp())
               OVER (PARTITION BY host) AS silent_since
      FROM workers
     WHERE retired_at IS NULL
),
hosts AS MATERIALIZED (
    SELECT count(*) AS owners, count(*) FILTER (WHERE expired) AS expired,
           greatest(0, count(*) FILTER (WHERE silent)
                       - count(*) FILTER (WHERE started_at > silent_since AND (NOT silent OR beat_at > started_at))) AS silent
      FROM fleet
     GROUP BY host
),
live AS MATERIALIZED (
    SELECT sum(owners) AS owners, sum(expired) AS expired, sum(silent) AS silent
      FROM hosts
),
seen AS MATERIALIZED (
    SELECT owners, silent AS dead, coalesce(expired > 0 AND silent >= $2::integer AND 2 * silent > owners, false) AS stormy
      FROM live
),
storm AS MATERIALIZED (
    SELECT *
      FROM storms
     WHERE closed_at IS NULL
       FOR UPDATE SKIP LOCKED
),
verdict AS MATERIALIZED (
    SELECT storm.id, seen.stormy,
           CASE
               WHEN seen.stormy THEN NULL
               WHEN statement_timestamp() >= storm.opened_at + $3::bigint * interval '1 microsecond' THEN 'time_over'
               WHEN storm.dead - (SELECT count(*)
                                    FROM workers
                                   WHERE retired_at >= storm.opened_at AND retired_cause <> 'stopped') < $2::integer THEN 'proof'
               WHEN statement_timestamp() >= storm.calm_at + $1::bigint * interval '1 microsecond' THEN 'beats'
           END AS ending
      FROM storm, seen
),
turned AS (
    UPDATE storms s
       SET calm_at = CASE WHEN NOT stormy THEN coalesce(s.calm_at, clock_timestamp()) END,
           closed_at = CASE WHEN verdict.ending IS NOT NULL THEN clock_timestamp() END,
           ending = verdict.ending
      FROM verdict
     WHERE s.id = verdict.id AND s.closed_at IS NULL
       AND (verdict.ending IS NOT NULL OR stormy <> (s.calm_at IS NULL))
    RETURNING s.*
),
opened AS (
    INSERT INTO storms (id, opened_at, owners, dead)
    SELECT directorybolt_uuid7(), clock_timestamp(), owners, dead
      FROM seen
     WHERE stormy AND NOT EXISTS (SELECT FROM storms WHERE closed_at IS NULL)
        ON CONFLICT DO NOTHING
    RETURNING *
),
changed AS (
    SELECT *, false AS opened FROM turned WHERE closed_at IS NOT NULL
     UNION ALL
    SELECT *, true FROM opened
),
told AS (
    INSERT INTO events (id, at, type, actor, cause, detail)
    SELECT directorybolt_uuid7(), coalesce(closed_at, opened_at), CASE WHEN opened THEN 'storm.opened' ELSE 'storm.closed' END,
           'system', ending, jsonb_build_object('storm', id, 'owners', owners, 'dead', dead)
      FROM changed
),
risk AS MATERIALIZED (
    SELECT coalesce(sum(j.value_cents), 0)::bigint AS value_cents
      FROM jobs j
      JOIN workers w ON w.id = j.worker_id
     WHERE j.state = 'in_progress' AND NOT j.canary AND w.retired_at IS NULL
       AND w.lease_until - (w.lease_until - w.beat_at) / 2 <= statement_timestamp() AND EXISTS (SELECT FROM opened)
),
noticed AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', CASE WHEN opened THEN 'storm:opened:' ELSE 'storm:closed:' END || id,
           jsonb_strip_nulls(jsonb_build_object('v', 1, 'alert', 'storm', 'count', dead, 'cause', ending,
               'resolved', CASE WHEN NOT opened THEN true END, 'value_cents', CASE WHEN opened THEN nullif(value_cents, 0) END,
               'text', CASE
                   WHEN opened THEN dead || ' of ' || owners || ' workers stopped beating at once: the clock or the database is suspect, '
                       || 'recovery of their jobs is held for a minute at most'
                   WHEN ending = 'beats' THEN 'the workers beat again, nobody had died'
                   WHEN ending = 'proof' THEN 'enough of the workers are proved dead, recovery goes on'
                   ELSE 'the time is over, recovery goes on'
               END,
               'at', to_char(coalesce(closed_at, opened_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))),
           coalesce(closed_at, opened_at), coalesce(closed_at, opened_at)
      FROM changed, risk
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO NOTHING
)
SELECT id, opened_at, owners, dead, calm_at, closed_at, ending, true FROM opened
 UNION ALL
SELECT id, opened_at, owners, dead, calm_at, closed_at, ending, false FROM turned
 UNION ALL
SELECT id, opened_at, owners, dead, calm_at, closed_at, ending, false FROM storms
 WHERE closed_at IS NULL AND id NOT IN (SELECT id FROM turned);

-- name: LastStorm
SELECT id, opened_at, owners, dead, calm_at, closed_at, ending, false
  FROM storms
 ORDER BY closed_at IS NULL DESC, opened_at DESC
 LIMIT 1;

-- name: PruneStorms
DELETE FROM storms
 WHERE id IN (SELECT id FROM storms WHERE closed_at < $1::timestamptz LIMIT $2);
