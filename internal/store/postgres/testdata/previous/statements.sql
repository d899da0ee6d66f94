-- The statements of the release before. Written at a release by: go test ./internal/store/postgres -run ReleaseBefore -update

-- name: AddDelivery
INSERT INTO deliveries (id, channel, alert_id, topic, lane, reason, message, due_at, created_at, next_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: AddFacts
-- $4 is how long ago each fact happened, in microseconds. Ordered, so that two that add
-- to the same sums wait for each other in one direction only.
INSERT INTO rollups AS r (name, at, span, labels, value)
SELECT fact.name, date_trunc('minute', now.at - fact.ago * interval '1 microsecond'), 60, fact.labels, sum(fact.value)
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS fact (name, labels, value, ago)
 CROSS JOIN (SELECT clock_timestamp() AS at OFFSET 0) AS now
 GROUP BY 1, 2, 4
 ORDER BY 1, 2, 4
    ON CONFLICT (name, at, span, labels)
    DO UPDATE SET value = r.value + excluded.value;

-- name: AddHints
INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
SELECT directorybolt_uuid7(), 'hint', job.id::text, jsonb_build_object('v', 1, 'job_id', job.id), clock_timestamp(), clock_timestamp()
  FROM (SELECT DISTINCT unnest($1::uuid[]) AS id) AS job
    ON CONFLICT (kind, key) WHERE sent_at IS NULL
    DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
        attempts = 0, created_at = excluded.created_at;

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

-- name: AddSession
WITH over AS (
    DELETE FROM sessions
     WHERE expires_at <= statement_timestamp()
)
INSERT INTO sessions (hash, key_id, created_at, expires_at)
SELECT $1, $2, at, at + $3::bigint * interval '1 microsecond'
  FROM (SELECT clock_timestamp() AS at OFFSET 0) AS now
RETURNING expires_at;

-- name: AdmitRequests
-- ON CONFLICT locks the row and reads its newest version; the clock is read after
-- that, so a window never begins before the one who held the row. Keys in order: two
-- callers cannot block each other. set_config holds until this statement's commit,
-- through any pooler.
INSERT INTO rate_limit AS r (key, asked, lim, win, debt, debt_age, known, known_at, known_until, at, granted, used, free_at, hits)
SELECT a.key, a.asked, a.lim, a.win, a.debt, a.debt_age, a.known, a.known_at, a.known_until,
       g.ms, g.granted, g.fill + g.granted,
       CASE WHEN g.fill > 0 THEN g.filled WHEN g.granted > 0 THEN g.stamp ELSE g.ms - a.win END + a.win,
       CASE WHEN g.fill > 0 THEN ARRAY[g.filled << 20 | g.fill] ELSE '{}' END
       || CASE WHEN g.granted > 0 THEN ARRAY[g.stamp << 20 | g.granted] ELSE '{}' END
  FROM set_config('synchronous_commit', $10, true) AS s
       CROSS JOIN unnest($1::uuid[], $2::integer[], $3::integer[], $4::integer[], $5::integer[], $6::integer[], $7::integer[], $8::bigint[], $9::bigint[])
           AS a (key, asked, lim, win, debt, debt_age, known, known_at, known_until)
       CROSS JOIN LATERAL (
           SELECT f.ms, f.stamp, f.known + f.debt AS fill, greatest(least(a.asked, a.lim - f.known - f.debt), 0) AS granted,
                  least((greatest(CASE WHEN f.known > 0 THEN a.known_at + 1 ELSE 0 END,
                                  CASE WHEN f.debt > 0 THEN f.ms - a.debt_age + 1 ELSE 0 END) + f.slot - 1) / f.slot * f.slot, f.stamp) AS filled
             FROM (
                 SELECT c.us / 1000 AS ms, d.slot, ((c.us + 999) / 1000 + d.slot - 1) / d.slot * d.slot AS stamp,
                        CASE WHEN a.known_until > c.us / 1000 THEN a.known ELSE 0 END AS known,
                        CASE WHEN a.debt_age < a.win THEN a.debt ELSE 0 END AS debt
                   FROM (SELECT floor(date_part('epoch', clock_timestamp()) * 1000000)::bigint AS us OFFSET 0) c,
                        (SELECT CASE WHEN a.lim <= 256 THEN 1 ELSE (a.win + 255) / 256 END AS slot) d
                 OFFSET 0) f
           OFFSET 0) g
 ORDER BY a.key
    ON CONFLICT (key) DO UPDATE
   SET lim = excluded.lim, win = excluded.win,
       (at, granted, used, free_at, hits) = (
           SELECT g.ms, g.granted, g.held + g.granted,
                  CASE WHEN g.held <= excluded.lim THEN coalesce(g.base[1] >> 20, CASE WHEN g.granted > 0 THEN g.stamp END, g.ms - excluded.win)
                       -- More than the limit: the stamp with which enough of them have left.
                       ELSE (SELECT o.h >> 20
                               FROM (SELECT h, sum(h & 1048575) OVER (ORDER BY n) AS gone FROM unnest(g.base) WITH ORDINALITY AS u (h, n)) o
                              WHERE o.gone > g.held - excluded.lim
                              ORDER BY o.gone LIMIT 1)
                  END + excluded.win,
                  CASE WHEN g.granted = 0 THEN g.base
                       WHEN g.base[cardinality(g.base)] >> 20 = g.stamp
                       THEN g.base[:cardinality(g.base) - 1] || (g.base[cardinality(g.base)] + g.granted)
                       ELSE g.base || (g.stamp << 20 | g.granted)
                  END
             FROM (
                 SELECT e.ms, e.stamp, e.n + e.known + e.debt AS held,
                        greatest(least(excluded.asked, excluded.lim - e.n - e.known - e.debt), 0) AS granted,
                        CASE WHEN e.known + e.debt = 0 THEN e.live
                             ELSE e.live || (least((greatest(CASE WHEN e.known > 0 THEN excluded.known_at + 1 ELSE 0 END,
                                                             CASE WHEN e.debt > 0 THEN e.ms - excluded.debt_age + 1 ELSE 0 END,
                                                             coalesce(e.live[cardinality(e.live)] >> 20, 0)) + e.slot - 1) / e.slot * e.slot,
                                                   e.stamp) << 20 | (e.known + e.debt))
                        END AS base
                   FROM (
                       SELECT l.ms, l.slot, l.stamp, l.live, l.n,
                              CASE WHEN excluded.known_until > l.ms THEN greatest(excluded.known - l.n, 0) ELSE 0 END AS known,
                              CASE WHEN excluded.debt_age < excluded.win THEN excluded.debt ELSE 0 END AS debt
                         FROM (
                             SELECT w.ms, w.slot, w.stamp, w.live,
                                    CASE WHEN w.whole THEN r.used
                                         ELSE coalesce((SELECT sum(h & 1048575) FROM unnest(w.live) h), 0)::integer
                                    END AS n
                               FROM (
                                   SELECT t.ms, t.slot, t.stamp, t.whole,
                                          CASE WHEN t.whole THEN r.hits
                                               ELSE (SELECT coalesce(array_agg((least(h >> 20, t.stamp) << 20) | (h & 1048575)), '{}')
                                                       FROM unnest(r.hits) h
                                                      WHERE h >> 20 > t.ms - excluded.win)
                                          END AS live
                                     FROM (
                                         SELECT b.*, r.hits[1] >> 20 > b.ms - excluded.win
                                                     AND r.hits[cardinality(r.hits)] >> 20 <= b.stamp AS whole -- nothing has left
                                           FROM (SELECT c.us / 1000 AS ms, d.slot, ((c.us + 999) / 1000 + d.slot - 1) / d.slot * d.slot AS stamp
                                                   FROM (SELECT floor(date_part('epoch', clock_timestamp()) * 1000000)::bigint AS us OFFSET 0) c,
                                                        (SELECT CASE WHEN excluded.lim <= 256 THEN 1 ELSE (excluded.win + 255) / 256 END AS slot) d
                                                 OFFSET 0) b
                                         OFFSET 0) t
                                   OFFSET 0) w
                             OFFSET 0) l
                       OFFSET 0) e
                 OFFSET 0) g)
RETURNING r.key, r.granted, r.used, r.free_at, r.at;

-- name: AnswerRequest
UPDATE idempotency_keys
   SET answered_at = clock_timestamp(), status = $4, content_type = $5, location = $6, body = $7
 WHERE owner = $1 AND key = $2 AND fingerprint = $3 AND answered_at IS NULL;

-- name: Arrive
-- A request carries its own end, as a socket's deadline is the end of a post: one
-- that was held up on the way must not arrive after somebody has looked for it.
INSERT INTO canary_arrivals (id, order_id, directory, fence, worker_id, at)
SELECT $1, $2, $3, $4, $5, clock_timestamp()
 WHERE clock_timestamp() < $6::timestamptz;

-- name: BeatWorker
-- Nothing but the worker's own row, so that no lock on a job can delay a lease. A
-- retirement at the same moment is waited for, and the guard then read again.
UPDATE workers
   SET beat_at = clock_timestamp(), lease_until = clock_timestamp() + $2::bigint * interval '1 microsecond'
 WHERE id = $1 AND retired_at IS NULL
RETURNING lease_until;

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

-- name: CancelJob
-- The lock is taken before the state is read, so that the event tells the state
-- that was really left; a completion at the same moment wins or finds it cancelled.
WITH held AS MATERIALIZED (
    SELECT id, state, claimed_at, attempt
      FROM jobs
     WHERE id = $1 AND state || '' IN ('pending', 'in_progress')
       FOR UPDATE
),
ended AS (
    UPDATE jobs j
       SET state = 'cancelled', finished_at = clock_timestamp(), cause = $3
      FROM held
     WHERE j.id = held.id AND j.state || '' IN ('pending', 'in_progress')
    RETURNING j.*, held.state AS was, held.claimed_at AS was_claimed_at, held.attempt AS was_attempt
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), finished_at, 'job.cancelled', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id,
           CASE was WHEN 'in_progress' THEN worker_id END, nullif(fence, 0), $2, was, 'cancelled', cause,
           CASE was WHEN 'in_progress' THEN jsonb_strip_nulls(jsonb_build_object(
               'claimed_at', to_char(was_claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'attempt', was_attempt)) END
      FROM ended
),
journalled AS (
    INSERT INTO journal (id, at, actor, reason, act, count, value_cents, job_ids)
    SELECT directorybolt_uuid7(), finished_at, $2, coalesce($3, ''), 'cancel', 1, CASE WHEN canary THEN 0 ELSE value_cents END, ARRAY[id]
      FROM ended
     WHERE $2 <> 'system'
)
SELECT id
  FROM ended;

-- name: CancelRunningJob
WITH ended AS (
    UPDATE jobs
       SET state = 'cancelled', finished_at = clock_timestamp(), cause = $3
     WHERE id = $1 AND fence = $2 AND state || '' = 'in_progress'
    RETURNING *, claimed_at AS was_claimed_at, attempt AS was_attempt
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), finished_at, 'job.cancelled', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence,
           $4, 'in_progress', 'cancelled', cause,
           jsonb_strip_nulls(jsonb_build_object(
               'claimed_at', to_char(was_claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'attempt', was_attempt))
      FROM ended
)
SELECT id
  FROM ended;

-- name: ClaimJobs
-- One range of jobs_for_claim for each priority, begun after what this handle has
-- claimed already, so that the dead prefix is not walked again. The outer LIMIT ends
-- the walk, and only rows that came this far are locked; the inner one tells the
-- planner that few are wanted, or it would sort them all. SKIP LOCKED: two claims at
-- once never wait for each other and never take the same job; a row that changed
-- since the snapshot is read again after its lock. The rows are ours until the end
-- of the statement, so their places (ctid) hold and spare a second index descent.
WITH next AS MATERIALIZED (
    SELECT due.place
      FROM unnest($4::smallint[], $5::timestamptz[], $6::uuid[]) AS after (priority, due_at, id)
     CROSS JOIN LATERAL (
        SELECT j.ctid AS place
          FROM jobs j
         WHERE j.state = 'pending' AND NOT j.quarantined
           AND j.priority = after.priority
           AND (j.due_at, j.id) > (after.due_at, after.id)
           AND j.due_at <= statement_timestamp()
           AND j.kind = ANY ($3::text[])
           AND (NOT EXISTS (SELECT FROM pauses)
                OR NOT EXISTS (SELECT FROM pauses p
                                WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id)))
         ORDER BY j.due_at, j.id
         LIMIT $2
           FOR UPDATE SKIP LOCKED) due
     WHERE EXISTS (SELECT FROM workers WHERE id = $1 AND retired_at IS NULL AND lease_until > statement_timestamp())
     LIMIT $2
),
claimed AS (
    UPDATE jobs
       SET state = 'in_progress', fence = fence + 1, attempt = attempt + 1, worker_id = $1,
           claimed_at = clock_timestamp(), progress_at = clock_timestamp()
     WHERE ctid = ANY (ARRAY (SELECT place FROM next))
    RETURNING id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, detail)
    SELECT directorybolt_uuid7(), claimed_at, 'job.claimed', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id,
           worker_id, fence, 'worker:' || worker_id, 'pending', 'in_progress', jsonb_build_object('attempt', attempt)
      FROM claimed
     WHERE kind IN ('order', 'canary', 'recheck')
)
SELECT id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key,
    statement_timestamp()
  FROM claimed;

-- name: ClaimOldest
-- The oldest due of any priority: a short range of each, then the oldest of these.
-- They are found without a lock; the second step locks them and asks again.
WITH oldest AS MATERIALIZED (
    SELECT due.place
      FROM unnest($4::smallint[], $5::timestamptz[], $6::uuid[]) AS after (priority, due_at, id)
     CROSS JOIN LATERAL (
        SELECT j.ctid AS place, j.id, j.due_at
          FROM jobs j
         WHERE j.state = 'pending' AND NOT j.quarantined
           AND j.priority = after.priority
           AND (j.due_at, j.id) > (after.due_at, after.id)
           AND j.due_at <= statement_timestamp()
           AND j.kind = ANY ($3::text[])
           AND (NOT EXISTS (SELECT FROM pauses)
                OR NOT EXISTS (SELECT FROM pauses p
                                WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id)))
         ORDER BY j.due_at, j.id
         LIMIT $2) due
     WHERE EXISTS (SELECT FROM workers WHERE id = $1 AND retired_at IS NULL AND lease_until > statement_timestamp())
     ORDER BY due.due_at, due.id
     LIMIT $2
),
next AS MATERIALIZED (
    SELECT ctid AS place
      FROM jobs
     WHERE ctid = ANY (ARRAY (SELECT place FROM oldest))
       AND state || '' = 'pending' AND NOT quarantined AND due_at <= statement_timestamp()
       FOR UPDATE SKIP LOCKED
),
claimed AS (
    UPDATE jobs
       SET state = 'in_progress', fence = fence + 1, attempt = attempt + 1, worker_id = $1,
           claimed_at = clock_timestamp(), progress_at = clock_timestamp()
     WHERE ctid = ANY (ARRAY (SELECT place FROM next))
    RETURNING id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, detail)
    SELECT directorybolt_uuid7(), claimed_at, 'job.claimed', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id,
           worker_id, fence, 'worker:' || worker_id, 'pending', 'in_progress', jsonb_build_object('attempt', attempt)
      FROM claimed
     WHERE kind IN ('order', 'canary', 'recheck')
)
SELECT id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key,
    statement_timestamp()
  FROM claimed;

-- name: ClaimQuarantined
WITH next AS MATERIALIZED (
    SELECT j.ctid AS place
      FROM jobs j
     WHERE j.state = 'pending' AND j.quarantined
       AND j.due_at <= statement_timestamp()
       AND j.kind = ANY ($3::text[])
       AND (NOT EXISTS (SELECT FROM pauses)
                OR NOT EXISTS (SELECT FROM pauses p
                                WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id)))
       AND EXISTS (SELECT FROM workers WHERE id = $1 AND retired_at IS NULL AND lease_until > statement_timestamp())
     ORDER BY j.due_at, j.id
     LIMIT $2
       FOR UPDATE OF j SKIP LOCKED
),
claimed AS (
    UPDATE jobs
       SET state = 'in_progress', fence = fence + 1, attempt = attempt + 1, worker_id = $1,
           claimed_at = clock_timestamp(), progress_at = clock_timestamp()
     WHERE ctid = ANY (ARRAY (SELECT place FROM next))
    RETURNING id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, detail)
    SELECT directorybolt_uuid7(), claimed_at, 'job.claimed', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id,
           worker_id, fence, 'worker:' || worker_id, 'pending', 'in_progress', jsonb_build_object('attempt', attempt)
      FROM claimed
     WHERE kind IN ('order', 'canary', 'recheck')
)
SELECT id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key,
    statement_timestamp()
  FROM claimed;

-- name: CloseGroup
-- What is told and that it was told, together. The letters are locked, so that of two
-- monitors one finds them told. A letter of the group that came meanwhile keeps the
-- group open.
WITH told AS (
    UPDATE dead_letters
       SET told_at = clock_timestamp()
     WHERE told_at IS NULL AND resolved_at IS NOT NULL AND signature = $1 AND canary = $2 AND resolved_at <= $3
       AND NOT EXISTS (SELECT
                         FROM dead_letters o
                        WHERE (o.fate IS NULL OR o.fate = 'redriven') AND o.signature = $1 AND o.canary = $2)
    RETURNING id
),
alerted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', $4, $5, clock_timestamp(), clock_timestamp()
     WHERE EXISTS (SELECT FROM told)
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT id
  FROM told;

-- name: CloseWarnings
-- The letters that are warned of are read as they were: those of this statement are
-- told apart by their condition.
WITH closed AS (
    UPDATE dead_letters
       SET warned_at = NULL
     WHERE warned_at IS NOT NULL
       AND (fate IS NOT NULL OR expires_at IS NULL
            OR expires_at > statement_timestamp() + $1::bigint * interval '1 microsecond')
    RETURNING id
),
alerted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', $2, $3, clock_timestamp(), clock_timestamp()
     WHERE EXISTS (SELECT FROM closed)
       AND NOT EXISTS (SELECT
                         FROM dead_letters
                        WHERE warned_at IS NOT NULL AND fate IS NULL
                          AND expires_at <= statement_timestamp() + $1::bigint * interval '1 microsecond')
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT id
  FROM closed;

-- name: ClosedGroups
SELECT d.signature, d.canary, d.fate, count(*), coalesce(sum(d.value_cents), 0)::bigint, max(d.resolved_at),
       coalesce((array_agg(d.job_id) FILTER (WHERE d.job_id IS NOT NULL))[1:10], '{}')
  FROM dead_letters d
 WHERE d.told_at IS NULL AND d.resolved_at IS NOT NULL
   AND NOT EXISTS (SELECT
                     FROM dead_letters o
                    WHERE (o.fate IS NULL OR o.fate = 'redriven') AND o.signature = d.signature AND o.canary = d.canary)
 GROUP BY d.signature, d.canary, d.fate
 ORDER BY d.signature, d.canary, d.fate;

-- name: CompleteJobs
-- Leases come ordered by id, so that two batches that share jobs lock them in the
-- same order.
WITH done AS (
    UPDATE jobs j
       SET state = 'completed', finished_at = clock_timestamp()
      FROM unnest($1::uuid[], $2::bigint[]) AS lease (id, fence)
     WHERE j.id = lease.id AND j.fence = lease.fence AND j.state || '' = 'in_progress'
    RETURNING j.id, j.fence, j.kind, j.customer_id, j.worker_id, j.attempt, j.finished_at
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, detail)
    SELECT directorybolt_uuid7(), finished_at, 'job.completed', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id,
           worker_id, fence, 'worker:' || worker_id, 'in_progress', 'completed', jsonb_build_object('attempt', attempt)
      FROM done
     WHERE kind IN ('order', 'canary', 'recheck')
)
SELECT id, fence
  FROM done;

-- name: CountJobs
SELECT state, count(*)
  FROM jobs
 WHERE NOT canary
 GROUP BY state;

-- name: CountLetters
SELECT count(*) FILTER (WHERE fate IS NULL AND NOT canary),
       count(*) FILTER (WHERE fate IS NULL AND canary),
       count(*) FILTER (WHERE fate IS NULL AND job_id IS NULL),
       count(*) FILTER (WHERE fate = 'redriven'),
       coalesce(sum(value_cents) FILTER (WHERE fate IS NULL AND NOT canary), 0)::bigint,
       count(DISTINCT customer_id) FILTER (WHERE fate IS NULL AND NOT canary),
       min(at) FILTER (WHERE fate IS NULL AND NOT canary),
       max(at) FILTER (WHERE fate IS NULL AND NOT canary)
  FROM dead_letters
 WHERE fate IS NULL OR fate = 'redriven';

-- name: CountUnresolved
-- How many things the alerts of a kind speak of.
SELECT coalesce(sum(count), 0)::bigint
  FROM alerts
 WHERE kind = $1 AND state <> 'resolved' AND NOT canary;

-- name: CountUnresolvedInLane
SELECT count(*)
  FROM alerts
 WHERE lane = $1 AND state <> 'resolved';

-- name: CustomerByEmail
SELECT id
  FROM customers
 WHERE lower(email) = lower($1) AND erased_at IS NULL;

-- name: DropHints
DELETE FROM outbox o
 WHERE o.kind = 'hint' AND o.sent_at IS NULL AND o.key = ANY ($1::text[])
   AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = (o.payload ->> 'job_id')::uuid);

-- name: DropParked
DELETE FROM deliveries
 WHERE parked_at IS NOT NULL AND sent_at IS NULL AND (alert_id = $1 OR channel = $2);

-- name: DropWaiting
-- What waits in the lane, says the same with older numbers and was never tried.
WITH dropped AS (
    DELETE FROM deliveries
     WHERE channel = $1 AND lane = $2 AND reason = ANY ($3::text[]) AND sent_at IS NULL AND attempts = 0
    RETURNING due_at
)
SELECT min(due_at)
  FROM dropped;

-- name: DueAlerts
SELECT id, kind, group_name, severity, state, canary, first_at, last_at, count, value_cents, sample, lane, say_at, detail
  FROM alerts
 WHERE say_at <= $1::timestamptz
 ORDER BY say_at, id
 LIMIT $2;

-- name: EarlierRequest
SELECT fingerprint, answered_at IS NOT NULL, coalesce(status, 0), coalesce(content_type, ''), coalesce(location, ''), body
  FROM idempotency_keys
 WHERE owner = $1 AND key = $2;

-- name: EndSession
DELETE FROM sessions
 WHERE hash = $1;

-- name: EndUndecided
-- The order's row is locked first, as every writer of the ledger does: a redrive at
-- this moment either waits, or has made the order one that asks for itself. SKIP LOCKED:
-- whoever changes it now is looked at next time.
WITH finished AS MATERIALIZED (
    SELECT id
      FROM jobs
     WHERE id IN (SELECT order_id FROM submissions WHERE id = ANY ($1::uuid[])) AND state || '' IN ('completed', 'failed', 'cancelled')
     ORDER BY id
       FOR SHARE SKIP LOCKED
),
held AS MATERIALIZED (
    SELECT s.id
      FROM submissions s
     WHERE s.id = ANY ($1::uuid[]) AND s.state = 'submitting'
       AND s.effect_deadline <= statement_timestamp() - $2::bigint * interval '1 microsecond'
       AND (s.order_id IN (SELECT id FROM finished) OR NOT EXISTS (SELECT FROM jobs j WHERE j.id = s.order_id))
       FOR UPDATE OF s
),
ended AS (
    UPDATE submissions s
       SET state = 'uncertain', class = 'in_doubt', reason = concat_ws('; ', nullif(reason, ''), $3::text), updated_at = clock_timestamp()
      FROM held
     WHERE s.id = held.id AND s.state = 'submitting'
    RETURNING s.*
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, directory, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), updated_at, 'submission.uncertain', order_id, order_id, customer_id, directory, fence, 'system',
           'submitting', 'uncertain', reason, jsonb_build_object('submission_id', id, 'try', tries, 'class', class)
      FROM ended
)
SELECT id
  FROM ended;

-- name: EnqueueJob
-- One job that is a row and nothing more: no key, no event, no hint. Without arrays
-- and CTEs it costs half of what EnqueueJobs does. $13 wakes other processes when
-- this commits, without a round trip and a commit of their own; empty: not now.
INSERT INTO jobs (id, kind, priority, due_at, customer_id, package, quota, value_cents, canary, payload,
    max_attempts, crash_budget, created_at)
SELECT $1, $2, $3, now.at + $4::bigint * interval '1 microsecond', $5, $6, $7, $8, $9, $10, $11, $12, now.at
  FROM (SELECT clock_timestamp() AS at OFFSET 0) AS now
RETURNING CASE WHEN $13::text <> '' THEN pg_notify('directorybolt_jobs', $13)::text END;

-- name: EnqueueJobs
-- Delays are microseconds. $16 wakes other processes, as in EnqueueJob. A row whose idempotency key is known is not added;
-- rows come ordered by key, so that two callers with the same keys cannot deadlock.
WITH now AS MATERIALIZED (SELECT clock_timestamp() AS at),
spec AS MATERIALIZED (
    SELECT *
      FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::bigint[], $5::text[], $6::uuid[], $7::text[], $8::integer[],
               $9::bigint[], $10::boolean[], $11::jsonb[], $12::integer[], $13::integer[], $14::text[])
        AS s (id, kind, priority, delay, idempotency_key, customer_id, package, quota,
              value_cents, canary, payload, max_attempts, crash_budget, actor)
),
added AS (
    INSERT INTO jobs (id, kind, priority, due_at, idempotency_key, customer_id, package, quota,
        value_cents, canary, payload, max_attempts, crash_budget, created_at)
    SELECT id, kind, priority, now.at + delay * interval '1 microsecond', idempotency_key, customer_id, package, quota,
           value_cents, canary, payload, max_attempts, crash_budget, now.at
      FROM spec, now
        ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING id, kind, customer_id, due_at, created_at
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, actor, to_state, detail)
    SELECT directorybolt_uuid7(), a.created_at, 'order.created', a.id, a.id, a.customer_id, s.actor, 'pending',
           jsonb_strip_nulls(jsonb_build_object('package', s.package, 'quota', s.quota, 'value_cents', s.value_cents,
               'canary', nullif(s.canary, false)))
      FROM added a
      JOIN spec s USING (id)
     WHERE a.kind IN ('order', 'canary')
),
hinted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'hint', id::text, jsonb_build_object('v', 1, 'job_id', id), due_at, clock_timestamp()
      FROM added
     WHERE $15::boolean
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT id, CASE WHEN $16::text <> '' THEN pg_notify('directorybolt_jobs', $16)::text END
  FROM added;

-- name: EnqueuedBefore
-- A statement of its own, after EnqueueJobs: it sees what another caller committed
-- while ours waited for that caller's key.
SELECT idempotency_key, id
  FROM jobs
 WHERE idempotency_key = ANY ($1::text[]);

-- name: EnsureCustomer
INSERT INTO customers (id, email, name, canary, created_at)
VALUES ($1, $2, $3, $4, clock_timestamp())
    ON CONFLICT (lower(email)) WHERE erased_at IS NULL DO NOTHING
RETURNING id;

-- name: ExpireLetters
-- Messages that name no job end here; the body is in the row.
WITH expired AS (
    UPDATE dead_letters
       SET fate = 'expired', resolved_at = clock_timestamp()
     WHERE fate IS NULL AND job_id IS NULL AND expires_at <= statement_timestamp()
    RETURNING *
),
told AS (
    INSERT INTO events (id, at, type, actor, to_state, cause, detail)
    SELECT directorybolt_uuid7(), resolved_at, 'letter.expired', 'system', fate, cause,
           jsonb_build_object('letter_id', id, 'message_id', message_id, 'signature', signature)
      FROM expired
)
SELECT id
  FROM expired;

-- name: ExpiringLetters
SELECT l.id, l.job_id, l.kind, l.customer_id, l.value_cents, l.canary, l.cause, l.class, l.signature, l.attempts, l.redrives,
    l.at, l.fate, l.actor, l.reason, l.redriven_at, l.resolved_at, l.message_id, l.body, l.receives, l.sent_at, l.expires_at,
    l.copied_at, 0, 0
  FROM dead_letters l
 WHERE l.fate IS NULL AND l.warned_at IS NULL
   AND l.expires_at <= statement_timestamp() + $1::bigint * interval '1 microsecond'
 ORDER BY l.expires_at
 LIMIT $2;

-- name: FailJob
-- The row is locked and its guard checked before it changes: the event tells when
-- the attempt began, which the new row no longer says. The UPDATE repeats the guard.
WITH held AS MATERIALIZED (
    SELECT id, claimed_at, attempt, $3::boolean OR failures + 1 >= max_attempts AS dead
      FROM jobs
     WHERE id = $1 AND fence = $2 AND state || '' = 'in_progress'
       FOR UPDATE
),
ended AS (
    UPDATE jobs j
       SET state = CASE WHEN dead THEN 'failed' ELSE 'pending' END,
           failures = failures + 1,
           due_at = CASE WHEN dead THEN due_at ELSE clock_timestamp() + $4::bigint * interval '1 microsecond' END,
           finished_at = CASE WHEN dead THEN clock_timestamp() END,
           claimed_at = CASE WHEN dead THEN j.claimed_at END,
           progress_at = CASE WHEN dead THEN progress_at END,
           cause = $5, class = $6, signature = $7
      FROM held
     WHERE j.id = held.id AND j.fence = $2 AND j.state || '' = 'in_progress'
    RETURNING j.*, held.claimed_at AS was_claimed_at, held.attempt AS was_attempt
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), CASE state WHEN 'failed' THEN 'job.failed' ELSE 'job.retried' END,
           id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence, $8, 'in_progress', state, cause,
           jsonb_strip_nulls(jsonb_build_object(
               'claimed_at', to_char(was_claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'attempt', was_attempt, 'class', class, 'signature', signature))
      FROM ended
),
lettered AS (
    INSERT INTO dead_letters (id, job_id, kind, customer_id, value_cents, canary, cause, class, signature, attempts, redrives,
        at, copy_due_at)
    SELECT directorybolt_uuid7(), id, kind, customer_id, value_cents, canary, cause, class, signature, attempt, redrives,
           finished_at, finished_at
      FROM ended
     WHERE state = 'failed'
),
alerted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', 'dead_letter:' || id,
           jsonb_strip_nulls(jsonb_build_object('v', 1, 'alert', 'dead_letters', 'group', signature,
               'value_cents', nullif(value_cents, 0), 'canary', nullif(canary, false), 'job_ids', jsonb_build_array(id),
               'customer_id', customer_id, 'job_kind', kind, 'redrives', nullif(redrives, 0),
               'cause', cause, 'class', class, 'signature', signature,
               'at', to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))),
           finished_at, finished_at
      FROM ended
     WHERE state = 'failed'
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
),
hinted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'hint', id::text, jsonb_build_object('v', 1, 'job_id', id), due_at, clock_timestamp()
      FROM ended
     WHERE $9::boolean AND state = 'pending'
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT state
  FROM ended;

-- name: FindHintsWithoutJob
SELECT o.key, 'gone', '', o.created_at, 1::bigint, 0::bigint, NULL::uuid, NULL::uuid, NULL::uuid, NULL::text, NULL::uuid
  FROM outbox o
 WHERE o.kind = 'hint' AND o.sent_at IS NULL
   AND o.not_before <= statement_timestamp() - $1::bigint * interval '1 microsecond'
   AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = (o.payload ->> 'job_id')::uuid)
 ORDER BY o.not_before
 LIMIT $2;

-- name: FindJobsWithoutHint
-- While every worker is busy a job may well wait longer than its hint was under way;
-- with one idle, the hint must be lost.
WITH idle AS MATERIALIZED (
    SELECT DISTINCT unnest(w.kinds) AS kind
      FROM workers w
     WHERE w.retired_at IS NULL AND w.lease_until > statement_timestamp()
       AND w.capacity > (SELECT count(*) FROM (SELECT FROM jobs j WHERE j.worker_id = w.id AND j.state = 'in_progress' LIMIT w.capacity) AS held)
)
SELECT late.id::text, 'lost', '', late.due_at, 1::bigint, CASE WHEN late.canary THEN 0 ELSE late.value_cents END, late.id, NULL::uuid,
    late.customer_id, NULL::text, NULL::uuid
  FROM unnest('{1,2,3,4}'::smallint[]) AS p (priority)
 CROSS JOIN LATERAL (
    SELECT j.id, j.due_at, j.canary, j.value_cents, j.customer_id
      FROM jobs j
     WHERE j.state = 'pending' AND NOT j.quarantined AND j.priority = p.priority
       AND j.due_at <= statement_timestamp() - $1::bigint * interval '1 microsecond'
       AND j.kind IN (SELECT idle.kind FROM idle)
       AND NOT EXISTS (SELECT FROM pauses p WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id))
       AND NOT EXISTS (SELECT FROM outbox o WHERE o.kind = 'hint' AND o.key = j.id::text AND o.sent_at IS NULL)
     ORDER BY j.due_at, j.id
     LIMIT $2) AS late
 WHERE EXISTS (SELECT FROM idle)
 ORDER BY late.due_at
 LIMIT $2;

-- name: FindUnbalanced
-- Orders that an event touched lately, and those noted before. An order that is not
-- planned has no sums yet, unless it is completed.
WITH touched AS MATERIALIZED (
    SELECT order_id AS id
      FROM events
     WHERE at > statement_timestamp() - $1::bigint * interval '1 microsecond' AND order_id IS NOT NULL
    UNION
    SELECT order_id
      FROM findings
     WHERE kind = 'unbalanced'
)
SELECT j.id::text, why.cause, why.cause, coalesce(j.finished_at, j.created_at), 1::bigint, CASE WHEN j.canary THEN 0 ELSE j.value_cents END, j.id,
    j.id, j.customer_id, NULL::text, NULL::uuid
  FROM touched
  JOIN jobs j ON j.id = touched.id
 CROSS JOIN LATERAL (SELECT count(*) AS all, count(*) FILTER (WHERE s.replaced) AS replaced FROM submissions s WHERE s.order_id = j.id) AS sums
 CROSS JOIN LATERAL (
    SELECT format('quota %s, submissions %s, replaced %s, shortfall %s', j.quota, sums.all, sums.replaced, coalesce(j.shortfall, 0)) AS cause
 ) AS why
 WHERE j.quota IS NOT NULL AND (j.shortfall IS NOT NULL OR j.state || '' = 'completed')
   AND j.quota <> sums.all - sums.replaced + coalesce(j.shortfall, 0)
 ORDER BY 4, 1
 LIMIT $2;

-- name: FindUnclaimed
-- Of each priority the first thousand that are due for long, as claims come to them.
-- An idle worker would take the first of its kinds; another look that finds the same
-- one first, and an idle worker again, proves that nobody claims: whoever is merely
-- between two jobs would have taken it meanwhile. A quarantined job comes first only
-- for a worker that has nothing else and runs nothing.
WITH due AS MATERIALIZED (
    SELECT late.*
      FROM unnest('{1,2,3,4}'::smallint[]) AS p (priority)
     CROSS JOIN LATERAL (
        SELECT j.id, j.kind, j.priority, j.due_at, j.value_cents, j.canary, false AS quarantined
          FROM jobs j
         WHERE j.state = 'pending' AND NOT j.quarantined AND j.priority = p.priority
           AND j.due_at <= statement_timestamp() - $1::bigint * interval '1 microsecond'
           AND (NOT EXISTS (SELECT FROM pauses)
                OR NOT EXISTS (SELECT FROM pauses p WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id)))
         ORDER BY j.due_at, j.id
         LIMIT 1000) AS late
    UNION ALL
    (SELECT j.id, j.kind, j.priority, j.due_at, j.value_cents, j.canary, true
       FROM jobs j
      WHERE j.state = 'pending' AND j.quarantined
        AND j.due_at <= statement_timestamp() - $1::bigint * interval '1 microsecond'
        AND (NOT EXISTS (SELECT FROM pauses)
             OR NOT EXISTS (SELECT FROM pauses p WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id)))
      ORDER BY j.due_at, j.id
      LIMIT 1000)
),
alive AS MATERIALIZED (
    SELECT w.id, w.kinds, w.capacity,
           (SELECT count(*) FROM (SELECT FROM jobs j WHERE j.worker_id = w.id AND j.state = 'in_progress' LIMIT w.capacity) AS held) AS held
      FROM workers w
     WHERE w.retired_at IS NULL AND w.lease_until > statement_timestamp() AND EXISTS (SELECT FROM due)
),
next AS (
    SELECT DISTINCT first.kind, first.id
      FROM alive
     CROSS JOIN LATERAL (
        SELECT due.kind, due.id
          FROM due
         WHERE due.kind = ANY (alive.kinds) AND (NOT due.quarantined OR alive.held = 0)
         ORDER BY due.quarantined, due.priority, due.due_at, due.id
         LIMIT 1) AS first
     WHERE alive.held < alive.capacity
)
SELECT kinds.kind, why.cause, coalesce((SELECT min(next.id::text) FROM next WHERE next.kind = kinds.kind), ''), kinds.since, kinds.jobs,
    kinds.value_cents, kinds.job_id, NULL::uuid, NULL::uuid, NULL::text, NULL::uuid
  FROM (SELECT kind, min(due_at) AS since, count(*) AS jobs, coalesce(sum(value_cents) FILTER (WHERE NOT canary), 0)::bigint AS value_cents,
               (array_agg(id ORDER BY due_at, id))[1] AS job_id
          FROM due
         GROUP BY kind) AS kinds
 CROSS JOIN LATERAL (
    SELECT CASE
               WHEN NOT EXISTS (SELECT FROM alive) THEN 'no_worker'
               WHEN NOT EXISTS (SELECT FROM alive WHERE kinds.kind = ANY (alive.kinds)) THEN 'no_handler'
               WHEN EXISTS (SELECT FROM next WHERE next.kind = kinds.kind) THEN 'idle'
           END AS cause) AS why
 WHERE why.cause IS NOT NULL
 ORDER BY kinds.since
 LIMIT $2;

-- name: FindUndecided
SELECT s.id::text, coalesce(j.state, 'gone'), '', s.effect_deadline, 1::bigint,
    CASE WHEN s.canary THEN 0 ELSE coalesce(j.value_cents / nullif(j.quota, 0), 0) END, s.order_id, s.order_id, s.customer_id, s.directory,
    NULL::uuid
  FROM submissions s
  LEFT JOIN jobs j ON j.id = s.order_id
 WHERE s.state = 'submitting' AND s.effect_deadline <= statement_timestamp() - $1::bigint * interval '1 microsecond'
   AND (j.id IS NULL OR j.state || '' IN ('completed', 'failed', 'cancelled'))
 ORDER BY s.effect_deadline
 LIMIT $2;

-- name: FindUnknownOwners
-- The owners are found by jumps from one to the next through jobs_for_recovery.
WITH RECURSIVE owner AS (
    (SELECT worker_id FROM jobs WHERE state = 'in_progress' ORDER BY worker_id LIMIT 1)
    UNION ALL
    SELECT (SELECT j.worker_id FROM jobs j WHERE j.state = 'in_progress' AND j.worker_id > owner.worker_id ORDER BY j.worker_id LIMIT 1)
      FROM owner
     WHERE owner.worker_id IS NOT NULL
)
SELECT owner.worker_id::text, 'no_owner', '', held.since, held.jobs, held.value_cents, held.job_id, NULL::uuid, NULL::uuid, NULL::text,
    owner.worker_id
  FROM owner
 CROSS JOIN LATERAL (
    SELECT min(j.claimed_at) AS since, count(*) AS jobs, coalesce(sum(j.value_cents) FILTER (WHERE NOT j.canary), 0)::bigint AS value_cents,
           (array_agg(j.id ORDER BY j.claimed_at, j.id))[1] AS job_id
      FROM jobs j
     WHERE j.worker_id = owner.worker_id AND j.state = 'in_progress') AS held
 WHERE NOT EXISTS (SELECT FROM workers w WHERE w.id = owner.worker_id) AND held.jobs > 0 AND $1::bigint >= 0
 ORDER BY held.since
 LIMIT $2;

-- name: FindUnsent
-- Due and taken by nobody, or taken again and again for a long time: each take hides
-- a message for a while.
SELECT late.kind, CASE WHEN min(late.attempts) = 0 THEN 'not_taken' ELSE 'not_accepted' END, '', min(late.created_at), count(*), 0::bigint,
    NULL::uuid, NULL::uuid, NULL::uuid, NULL::text, NULL::uuid
  FROM (SELECT kind, attempts, created_at
          FROM outbox
         WHERE sent_at IS NULL AND not_before <= statement_timestamp() + interval '15 minutes'
           AND (not_before <= statement_timestamp() - $1::bigint * interval '1 microsecond'
                OR attempts >= 3 AND created_at <= statement_timestamp() - $1::bigint * interval '1 microsecond')
         LIMIT 10000) AS late
 GROUP BY late.kind
 ORDER BY 4
 LIMIT $2;

-- name: FoldRollups
-- Minutes before $1 become part of their hours, $2 rows at a time. SKIP LOCKED: two
-- passes share the work, and each minute is folded by the one that deletes it.
WITH old AS MATERIALIZED (
    SELECT name, at, span, labels
      FROM rollups
     WHERE span = 60 AND at < $1::timestamptz
     ORDER BY at
     LIMIT $2
       FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM rollups r
     USING old
     WHERE r.name = old.name AND r.at = old.at AND r.span = old.span AND r.labels = old.labels
    RETURNING r.name, r.at, r.labels, r.value
),
kept AS (
    INSERT INTO rollups AS r (name, at, span, labels, value)
    SELECT name, date_trunc('hour', at), 3600, labels, sum(value)
      FROM gone
     GROUP BY 1, 2, 4
     ORDER BY 1, 2, 4
        ON CONFLICT (name, at, span, labels)
        DO UPDATE SET value = r.value + excluded.value
)
SELECT count(*)
  FROM gone;

-- name: FreeRequest
DELETE FROM idempotency_keys
 WHERE owner = $1 AND key = $2 AND fingerprint = $3 AND answered_at IS NULL;

-- name: GetAlert
SELECT id, kind, group_name, severity, state, canary, first_at, last_at, count, value_cents, sample, lane, say_at, detail
  FROM alerts
 WHERE id = $1;

-- name: GetChannel
SELECT name, target, next_at, failures, failing_since, held_at, error, good_at, told
  FROM alert_channels
 WHERE name = $1;

-- name: GetCustomer
SELECT id, email, name, canary, created_at
  FROM customers
 WHERE id = $1 AND erased_at IS NULL;

-- name: GetDelivery
SELECT id, channel, alert_id, topic, lane, message, due_at, created_at, next_at, attempts, refusals, doubt_at, sent_at, parked_at, error
  FROM deliveries
 WHERE id = $1;

-- name: GetJob
SELECT id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key
  FROM jobs
 WHERE id = $1;

-- name: GetKey
SELECT id, name, role, customer_id, created_at, created_by, expires_at, last_used_at, revoked_at, hash
  FROM api_keys
 WHERE id = $1;

-- name: GetLetter
-- By its own id, or the latest of a job.
SELECT l.id, l.job_id, l.kind, l.customer_id, l.value_cents, l.canary, l.cause, l.class, l.signature, l.attempts, l.redrives,
    l.at, l.fate, l.actor, l.reason, l.redriven_at, l.resolved_at, l.message_id, l.body, l.receives, l.sent_at, l.expires_at,
    l.copied_at,
    (SELECT count(*) FROM submissions s WHERE s.order_id = l.job_id AND s.state IN ('submitted', 'live')),
    (SELECT count(*) FROM submissions s WHERE s.order_id = l.job_id AND s.state IN ('planned', 'submitting'))
  FROM (SELECT * FROM dead_letters WHERE id = $1
        UNION ALL
        SELECT * FROM dead_letters WHERE job_id = $1) l
 ORDER BY l.redrives DESC
 LIMIT 1;

-- name: GetPacing
SELECT next_at, day, day_count, open_until, clock_timestamp()
  FROM pacing
 WHERE host = $1;

-- name: GetSubmission
SELECT id, order_id, customer_id, directory, rank, identity, state, fence, tries, due_at, intent_at, effect_deadline,
    class, reason, need, evidence, listing_url, replaced, canary, created_at, updated_at, live_at
  FROM submissions
 WHERE id = $1;

-- name: GetWorker
SELECT retired_at IS NULL, retired_at IS NULL AND lease_until > statement_timestamp()
  FROM workers
 WHERE id = $1;

-- name: GroupLetters
SELECT signature, count(*), coalesce(sum(value_cents), 0)::bigint, count(DISTINCT customer_id), min(at), max(at),
       (array_agg(job_id ORDER BY id DESC))[1]
  FROM dead_letters
 WHERE ($1::boolean OR fate IS NULL)
   AND ($2::text IS NULL OR signature = $2)
   AND ($3::uuid IS NULL OR customer_id = $3)
   AND ($4::text IS NULL OR kind = $4)
   AND ($5::uuid IS NULL OR job_id = $5)
   AND ($6::timestamptz IS NULL OR at >= $6)
   AND ($7::timestamptz IS NULL OR at < $7)
   AND ($8::integer IS NULL OR redrives < $8)
   AND ($9::boolean OR NOT canary)
 GROUP BY signature
 ORDER BY 2 DESC, 5, 1;

-- name: HasQuarantined
SELECT EXISTS (
    SELECT
      FROM jobs j
     WHERE j.state = 'pending' AND j.quarantined
       AND j.due_at <= statement_timestamp()
       AND j.kind = ANY ($1::text[])
       AND (NOT EXISTS (SELECT FROM pauses)
                OR NOT EXISTS (SELECT FROM pauses p
                                WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id))));

-- name: HeldDirectories
SELECT directory
  FROM submissions
 WHERE identity = $1
   AND state IN ('submitting', 'submitted', 'live', 'needs_action', 'uncertain')
 ORDER BY directory;

-- name: HideMessages
-- The number of a take is its receipt: who took the message since has a later one.
UPDATE outbox o
   SET not_before = clock_timestamp() + $3::bigint * interval '1 microsecond'
  FROM unnest($1::uuid[], $2::integer[]) AS taken (id, attempts)
 WHERE o.id = taken.id AND o.attempts = taken.attempts AND o.sent_at IS NULL
RETURNING o.id;

-- name: HintAgain
-- A hint too many finds nothing to claim. An unsent one is left as it is.
INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
SELECT directorybolt_uuid7(), 'hint', j.id::text, jsonb_build_object('v', 1, 'job_id', j.id), clock_timestamp(), clock_timestamp()
  FROM jobs j
 WHERE j.id = ANY ($1::uuid[]) AND j.state || '' = 'pending' AND j.due_at <= statement_timestamp()
    ON CONFLICT (kind, key) WHERE sent_at IS NULL DO NOTHING;

-- name: HoldLifeline
-- Watches hold it for a moment, shared; then this waits.
SELECT pg_advisory_lock(hashtextextended($1::uuid::text, 0));

-- name: IntendSubmission
-- Before this is committed, nothing leaves the house. The deadline never lies past
-- the worker's lease, so that whoever recovers the job knows when the last byte of a
-- dead attempt can have gone out. The unique index refuses a second holder of the
-- directory.
WITH lease AS MATERIALIZED (
    SELECT id, fence, worker_id
      FROM jobs
     WHERE id = $1 AND fence = $2 AND state || '' = 'in_progress'
       FOR SHARE
),
intended AS (
    UPDATE submissions s
       SET state = 'submitting', fence = lease.fence, tries = tries + 1, due_at = NULL, intent_at = clock_timestamp(),
           effect_deadline = least(clock_timestamp() + $4::bigint * interval '1 microsecond', w.lease_until),
           class = NULL, reason = NULL, updated_at = clock_timestamp()
      FROM lease
      JOIN workers w ON w.id = lease.worker_id AND w.retired_at IS NULL
     WHERE s.id = $3 AND s.order_id = lease.id AND s.state = 'planned' AND w.lease_until > clock_timestamp()
    RETURNING s.*
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, directory, worker_id, fence, actor,
        from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), i.intent_at, 'submission.intent', lease.id, i.order_id, i.customer_id, i.directory,
           lease.worker_id, lease.fence, 'worker:' || lease.worker_id, 'planned', 'submitting', NULL,
           jsonb_build_object('submission_id', i.id, 'try', i.tries, 'effect_deadline',
               to_char(i.effect_deadline AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
      FROM intended i, lease
)
SELECT id, order_id, customer_id, directory, rank, identity, state, fence, tries, due_at, intent_at, effect_deadline,
    class, reason, need, evidence, listing_url, replaced, canary, created_at, updated_at, live_at
  FROM intended;

-- name: JobEvents
SELECT id, at, type, v, job_id, order_id, customer_id, directory, worker_id, fence, actor, from_state, to_state, cause, detail
  FROM events
 WHERE job_id = $1
 ORDER BY at, id;

-- name: JobsAhead
-- Due jobs that a claim takes before job $1, as far as $3; what is paused is not in
-- its way.
SELECT count(*)
  FROM (SELECT
          FROM jobs mine
          JOIN jobs j ON (j.priority, j.due_at, j.id) < (mine.priority, mine.due_at, mine.id)
         WHERE mine.id = $1 AND j.state = 'pending' AND NOT j.quarantined AND j.due_at <= statement_timestamp()
           AND j.kind = ANY ($2::text[])
           AND NOT EXISTS (SELECT
                             FROM pauses p
                            WHERE p.scope IN ('all', 'kind:' || j.kind, 'customer:' || j.customer_id))
         LIMIT $3) AS ahead;

-- name: KeepMessage
-- xmax tells a row that was inserted from one that was there.
WITH kept AS (
    INSERT INTO dead_letters (id, cause, class, signature, at, copy_due_at, message_id, body, receives, sent_at, expires_at)
    SELECT directorybolt_uuid7(), $3, $4, $5, now.at, now.at, $1, $2, $6, $7, $8
      FROM (SELECT clock_timestamp() AS at OFFSET 0) AS now
        ON CONFLICT (message_id) WHERE job_id IS NULL
        DO UPDATE SET receives = excluded.receives, expires_at = excluded.expires_at
    RETURNING *, xmax = 0 AS fresh
),
told AS (
    INSERT INTO events (id, at, type, actor, cause, detail)
    SELECT directorybolt_uuid7(), at, 'letter.seen', 'system', cause,
           jsonb_strip_nulls(jsonb_build_object('letter_id', id, 'message_id', message_id, 'signature', signature,
               'receives', receives, 'expires_at', to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
      FROM kept
     WHERE fresh
),
alerted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', $9, $10, at, at
      FROM kept
     WHERE fresh
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT CASE WHEN fresh THEN 'kept' WHEN fate IN ('purged', 'moved') THEN 'stale' ELSE 'open' END
  FROM kept;

-- name: KeepSecret
INSERT INTO secrets (name, value) VALUES ($1, $2)
    ON CONFLICT (name) DO NOTHING;

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

-- name: LaneWaits
SELECT EXISTS (SELECT FROM deliveries WHERE lane = $1 AND sent_at IS NULL);

-- name: LastStorm
SELECT id, opened_at, owners, dead, calm_at, closed_at, ending, false
  FROM storms
 ORDER BY closed_at IS NULL DESC, opened_at DESC
 LIMIT 1;

-- name: LatestAlerts
-- Ids are ordered by the time they were made.
SELECT a.id, a.kind, a.group_name, a.severity, a.state, a.canary, a.first_at, a.last_at, a.count, a.value_cents, a.sample, a.lane, a.say_at, a.detail
  FROM unnest($1::text[]) AS g (name)
 CROSS JOIN LATERAL (SELECT * FROM alerts WHERE group_name = g.name ORDER BY id DESC LIMIT 1) AS a;

-- name: LeasedJob
-- Why a write was refused: whether the lease holds, and its owner still lives.
SELECT coalesce((SELECT w.retired_at IS NULL AND w.lease_until > clock_timestamp() FROM workers w WHERE w.id = j.worker_id), false)
  FROM jobs j
 WHERE j.id = $1 AND j.fence = $2 AND j.state || '' = 'in_progress';

-- name: LeavePasses
UPDATE monitor_passes
   SET left_at = clock_timestamp()
 WHERE monitor = $1 AND process = $2;

-- name: ListAlerts
-- The latest first. An empty state is every one, without resolved ones unless $2 asks.
SELECT id, kind, group_name, severity, state, canary, first_at, last_at, count, value_cents, sample, lane, say_at, detail
  FROM alerts
 WHERE CASE $1::text WHEN '' THEN $2::boolean OR state <> 'resolved' ELSE state = $1 END
   AND ($3::text = '' OR kind = $3)
   AND ($4::timestamptz IS NULL OR last_at >= $4)
 ORDER BY last_at DESC, id DESC
 LIMIT $5;

-- name: ListArrivals
SELECT order_id, directory, fence, worker_id, at
  FROM canary_arrivals
 WHERE order_id = $1
 ORDER BY at, id;

-- name: ListBacklogs
SELECT c.name, c.target, c.next_at, c.failures, c.failing_since, c.held_at, c.error, c.good_at, c.told,
       count(d.id), min(d.due_at), count(d.parked_at)
  FROM alert_channels c
  LEFT JOIN deliveries d ON d.channel = c.name AND d.sent_at IS NULL
 GROUP BY c.name
 ORDER BY c.name;

-- name: ListFindings
SELECT kind, subject, cause, mark, since, count, value_cents, job_id, order_id, customer_id, directory, worker_id, first_at, told_at
  FROM findings
 ORDER BY since, kind, subject;

-- name: ListJobs
-- Newest first. A NULL filter selects all.
SELECT id, kind, state, priority, due_at, customer_id, package, quota, shortfall, value_cents, canary, payload,
    fence, attempt, failures, crashes, max_attempts, crash_budget, quarantined, redrives, worker_id,
    created_at, claimed_at, progress_at, finished_at, cause, class, signature, idempotency_key
  FROM jobs
 WHERE ($1::text IS NULL OR state = $1)
   AND ($2::text IS NULL OR kind = $2)
   AND ($3::uuid IS NULL OR customer_id = $3)
   AND ($4::boolean OR NOT canary)
   AND ($5::uuid IS NULL OR id < $5)
 ORDER BY id DESC
 LIMIT $6;

-- name: ListJournal
SELECT id, at, actor, reason, act, count, value_cents, job_ids, subject
  FROM journal
 WHERE $1::uuid IS NULL OR id < $1
 ORDER BY id DESC
 LIMIT $2;

-- name: ListKeys
SELECT id, name, role, customer_id, created_at, created_by, expires_at, last_used_at, revoked_at, hash
  FROM api_keys
 ORDER BY created_at DESC, id;

-- name: ListLetters
-- Newest first. A NULL filter selects all.
SELECT l.id, l.job_id, l.kind, l.customer_id, l.value_cents, l.canary, l.cause, l.class, l.signature, l.attempts, l.redrives,
    l.at, l.fate, l.actor, l.reason, l.redriven_at, l.resolved_at, l.message_id, l.body, l.receives, l.sent_at, l.expires_at,
    l.copied_at,
    (SELECT count(*) FROM submissions s WHERE s.order_id = l.job_id AND s.state IN ('submitted', 'live')),
    (SELECT count(*) FROM submissions s WHERE s.order_id = l.job_id AND s.state IN ('planned', 'submitting'))
  FROM dead_letters l
 WHERE ($1::boolean OR l.fate IS NULL)
   AND ($2::text IS NULL OR l.signature = $2)
   AND ($3::uuid IS NULL OR l.customer_id = $3)
   AND ($4::text IS NULL OR l.kind = $4)
   AND ($5::uuid IS NULL OR l.job_id = $5)
   AND ($6::timestamptz IS NULL OR l.at >= $6)
   AND ($7::timestamptz IS NULL OR l.at < $7)
   AND ($8::integer IS NULL OR l.redrives < $8)
   AND ($9::boolean OR NOT l.canary)
   AND ($10::uuid IS NULL OR l.id < $10)
 ORDER BY l.id DESC
 LIMIT $11;

-- name: ListPasses
SELECT monitor, process, host, pid, at, good_at, left_at, every, took, error, passes, failed, counts
  FROM monitor_passes
 ORDER BY at DESC, monitor, process;

-- name: ListPauses
SELECT scope, at, actor, reason
  FROM pauses
 ORDER BY at, scope;

-- name: ListRollups
SELECT name, labels, at, span, value
  FROM rollups
 WHERE name = $1 AND at >= $2 AND at < $3
 ORDER BY at, labels, span;

-- name: ListSubmissions
SELECT id, order_id, customer_id, directory, rank, identity, state, fence, tries, due_at, intent_at, effect_deadline,
    class, reason, need, evidence, listing_url, replaced, canary, created_at, updated_at, live_at
  FROM submissions
 WHERE order_id = $1
 ORDER BY rank, id;

-- name: ListUndelivered
SELECT id, channel, alert_id, topic, lane, message, due_at, created_at, next_at, attempts, refusals, doubt_at, sent_at, parked_at, error
  FROM deliveries
 WHERE sent_at IS NULL
 ORDER BY seq
 LIMIT $1;

-- name: ListWorkers
SELECT id, host, pid, version, kinds, capacity, boot, started_at, beat_at, lease_until, retired_at, retired_cause
  FROM workers
 WHERE retired_at IS NULL OR retired_at > statement_timestamp() - $1::bigint * interval '1 microsecond'
 ORDER BY started_at, id;

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

-- name: LostLeases
SELECT lease.id, lease.fence, coalesce(j.state, '')
  FROM unnest($1::uuid[], $2::bigint[]) AS lease (id, fence)
  LEFT JOIN jobs j ON j.id = lease.id
 WHERE j.id IS NULL OR j.fence <> lease.fence OR j.state <> 'in_progress';

-- name: MarkLettersCopied
UPDATE dead_letters
   SET copied_at = clock_timestamp()
 WHERE id = ANY ($1::uuid[]) AND copied_at IS NULL;

-- name: MarkMessagesSent
UPDATE outbox
   SET sent_at = clock_timestamp()
 WHERE id = ANY ($1::uuid[]) AND sent_at IS NULL;

-- name: Neighbours
-- The live workers that follow in the ring of lock keys: after the worker $1, or after
-- the key $2; and whether the lifeline of each is held. A watch takes it shared, which
-- is not holding it.
WITH ring AS MATERIALIZED (
    SELECT id, hashtextextended(id::text, 0) AS key
      FROM workers
     WHERE retired_at IS NULL AND id IS DISTINCT FROM $1::uuid
),
held AS MATERIALIZED (
    SELECT classid::bigint << 32 | objid::bigint AS key
      FROM pg_locks
     WHERE locktype = 'advisory' AND objsubid = 1 AND mode = 'ExclusiveLock' AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT id, key, EXISTS (SELECT FROM held WHERE held.key = ring.key), pg_backend_pid()
  FROM ring
 ORDER BY key <= coalesce(hashtextextended($1::uuid::text, 0), $2::bigint), key
 LIMIT $3;

-- name: NextDelivery
-- The first that may be tried: none before it in its lane is unsent. One that failed
-- stands behind all that wait longer, so that it holds up its own lane alone.
SELECT id, channel, alert_id, topic, lane, message, due_at, created_at, next_at, attempts, refusals, doubt_at, sent_at, parked_at, error
  FROM deliveries d
 WHERE d.channel = $1 AND d.sent_at IS NULL AND d.next_at <= $2::timestamptz
   AND NOT EXISTS (SELECT
                     FROM deliveries b
                    WHERE b.channel = d.channel AND b.lane = d.lane AND b.sent_at IS NULL AND b.seq < d.seq)
 ORDER BY d.next_at, d.seq
 LIMIT 1;

-- name: NoteFindings
-- $2 is a JSON array of what a look found. A row that another monitor noted at this
-- moment is waited for and then read again, so that one of them tells. What was told
-- now carries this statement's own moment.
WITH now AS MATERIALIZED (SELECT clock_timestamp() AS at),
found AS MATERIALIZED (
    SELECT *
      FROM jsonb_to_recordset($2::jsonb) AS f (subject text, cause text, mark text, since timestamptz, count bigint, value_cents bigint,
               job_id uuid, order_id uuid, customer_id uuid, directory text, worker_id uuid, text text)
),
noted AS (
    INSERT INTO findings AS f (kind, subject, cause, mark, since, count, value_cents, job_id, order_id, customer_id, directory, worker_id,
        first_at, told_at)
    SELECT $1, subject, cause, mark, since, count, value_cents, job_id, order_id, customer_id, directory, worker_id, now.at,
           CASE WHEN $4::bigint <= 0 THEN now.at END
      FROM found, now
     ORDER BY subject
        ON CONFLICT (kind, subject)
        DO UPDATE SET cause = excluded.cause, mark = excluded.mark, since = excluded.since, count = excluded.count,
            value_cents = excluded.value_cents, job_id = excluded.job_id,
            first_at = CASE WHEN f.told_at IS NULL AND f.mark <> excluded.mark THEN excluded.first_at ELSE f.first_at END,
            told_at = CASE
                WHEN f.told_at IS NOT NULL THEN f.told_at
                WHEN f.mark = excluded.mark AND f.first_at <= excluded.first_at - $4::bigint * interval '1 microsecond' THEN excluded.first_at
            END
    RETURNING *
),
gone AS (
    DELETE FROM findings f
     WHERE NOT $3::boolean AND f.kind = $1 AND f.subject NOT IN (SELECT subject FROM found)
    RETURNING *
),
told AS MATERIALIZED (
    SELECT noted.*, found.text
      FROM noted
      JOIN found USING (subject), now
     WHERE noted.told_at = now.at
),
events AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, directory, worker_id, actor, cause, detail)
    SELECT directorybolt_uuid7(), told_at, $5, job_id, order_id, customer_id, directory, worker_id, 'system', kind,
           jsonb_strip_nulls(jsonb_build_object('subject', subject, 'cause', nullif(cause, ''), 'count', count,
               'value_cents', nullif(value_cents, 0), 'text', text,
               'since', to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
      FROM told
),
notices AS (
    SELECT CASE WHEN $8::boolean THEN subject ELSE kind END AS of_group, NULL::boolean AS resolved,
           (array_agg(text ORDER BY since, subject))[1] AS text, sum(count) AS count, nullif(sum(value_cents), 0) AS value_cents,
           (array_agg(DISTINCT job_id) FILTER (WHERE job_id IS NOT NULL))[1:10] AS jobs
      FROM told
     GROUP BY 1
    UNION ALL
    SELECT CASE WHEN $8 THEN subject ELSE kind END, true, NULL, count(*), NULL, NULL
      FROM gone
     WHERE told_at IS NOT NULL
       AND ($8 OR NOT EXISTS (SELECT FROM noted WHERE noted.told_at IS NOT NULL))
     GROUP BY 1
),
sent AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', $6 || ':' || of_group || CASE WHEN resolved THEN ':resolved' ELSE '' END,
           jsonb_strip_nulls(jsonb_build_object('v', 1, 'alert', $6::text, 'group', of_group, 'severity', nullif($7::text, ''),
               'resolved', resolved, 'text', text, 'count', count, 'value_cents', value_cents, 'job_ids', to_jsonb(jobs),
               'at', to_char(now.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))),
           now.at, now.at
      FROM notices, now
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT false, kind, subject, cause, mark, since, count, value_cents, job_id, order_id, customer_id, directory, worker_id, first_at, told_at
  FROM told
 UNION ALL
SELECT true, kind, subject, cause, mark, since, count, value_cents, job_id, order_id, customer_id, directory, worker_id, first_at, told_at
  FROM gone
 WHERE told_at IS NOT NULL;

-- name: NoteSightings
WITH seen AS MATERIALIZED (
    SELECT *
      FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::timestamptz[], $5::timestamptz[], $6::integer[])
        AS s (job_id, message_id, receives, sent_at, expires_at, place)
),
noted AS (
    UPDATE dead_letters l
       SET message_id = seen.message_id, receives = seen.receives, sent_at = seen.sent_at, expires_at = seen.expires_at,
           copied_at = coalesce(copied_at, clock_timestamp())
      FROM seen
     WHERE l.job_id = seen.job_id AND l.fate IS NULL
    RETURNING l.job_id
)
SELECT CASE
           WHEN seen.job_id IN (SELECT job_id FROM noted) THEN 'open'
           WHEN EXISTS (SELECT FROM jobs j WHERE j.id = seen.job_id) THEN 'stale'
           ELSE 'unknown'
       END
  FROM seen
 ORDER BY seen.place;

-- name: ObserveSubmission
-- The lease is the recheck's own; the submission belongs to the order it looks at.
WITH lease AS MATERIALIZED (
    SELECT id, fence, worker_id
      FROM jobs
     WHERE id = $1 AND fence = $2 AND state || '' = 'in_progress'
       FOR SHARE
),
held AS MATERIALIZED (
    SELECT s.id, s.state
      FROM submissions s, lease
     WHERE s.id = $3 AND s.state = ANY ($4::text[])
       FOR UPDATE OF s
),
observed AS (
    UPDATE submissions s
       SET state = $5, class = $6, reason = $7, evidence = coalesce($8::jsonb, evidence),
           listing_url = coalesce($9, listing_url), updated_at = clock_timestamp(),
           live_at = CASE $5 WHEN 'live' THEN clock_timestamp() ELSE live_at END
      FROM held
     WHERE s.id = held.id AND s.state = held.state
    RETURNING s.*, held.state AS was
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, directory, worker_id, fence, actor,
        from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), o.updated_at, 'submission.outcome', lease.id, o.order_id, o.customer_id, o.directory,
           lease.worker_id, lease.fence, 'worker:' || lease.worker_id, o.was, o.state, o.reason,
           jsonb_strip_nulls(jsonb_build_object('submission_id', o.id, 'class', o.class, 'rule', o.evidence ->> 'rule',
               'listing_url', o.listing_url))
      FROM observed o, lease
)
SELECT id
  FROM observed;

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

-- name: PendingAlerts
-- Whether there are notices that nobody has read, and alerts whose time has come.
SELECT EXISTS (SELECT FROM outbox WHERE kind = 'alert' AND sent_at IS NULL),
       EXISTS (SELECT FROM alerts WHERE say_at <= statement_timestamp());

-- name: PlanSubmissions
-- The job's shortfall is NULL until the plan is made; that, and not the number of
-- submissions, is what makes a second plan a plan too many: a plan may be empty.
WITH lease AS (
    UPDATE jobs
       SET shortfall = $3, progress_at = clock_timestamp()
     WHERE id = $1 AND fence = $2 AND state || '' = 'in_progress' AND shortfall IS NULL
       AND NOT EXISTS (SELECT FROM submissions WHERE order_id = $1)
    RETURNING id, fence, customer_id, canary, worker_id, quota
),
planned AS (
    INSERT INTO submissions (id, order_id, customer_id, directory, rank, identity, canary, created_at, updated_at)
    SELECT choice.id, lease.id, coalesce(lease.customer_id, '00000000-0000-0000-0000-000000000000'), choice.directory, choice.rank,
           $4, lease.canary, clock_timestamp(), clock_timestamp()
      FROM lease, unnest($5::uuid[], $6::text[], $7::integer[]) AS choice (id, directory, rank)
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), 'shortfall', id, id, customer_id, worker_id, fence, 'worker:' || worker_id,
           'the catalog has too few directories', jsonb_strip_nulls(jsonb_build_object('shortfall', $3::integer, 'quota', quota))
      FROM lease
     WHERE $3 > 0
)
SELECT id
  FROM lease;

-- name: ProgressJob
-- Locked in the order of ids, as CompleteJobs does: a beat and a completion that
-- share jobs wait for each other in one direction only.
WITH held AS MATERIALIZED (
    SELECT j.id, j.fence
      FROM jobs j
      JOIN unnest($1::uuid[], $2::bigint[]) AS lease (id, fence) ON j.id = lease.id AND j.fence = lease.fence
     WHERE j.state || '' = 'in_progress'
     ORDER BY j.id
       FOR NO KEY UPDATE OF j
)
UPDATE jobs j
   SET progress_at = clock_timestamp()
  FROM held
 WHERE j.id = held.id AND j.fence = held.fence AND j.state || '' = 'in_progress'
RETURNING j.id, j.fence;

-- name: PruneAlerts
DELETE FROM alerts
 WHERE id IN (SELECT id FROM alerts WHERE last_at < $1::timestamptz AND state = 'resolved' LIMIT $2);

-- name: PruneArchive
DELETE FROM job_archive
 WHERE day < ($1::timestamptz AT TIME ZONE 'UTC')::date;

-- name: PruneArrivals
DELETE FROM canary_arrivals
 WHERE id IN (SELECT id FROM canary_arrivals WHERE at < $1::timestamptz LIMIT $2);

-- name: PruneDeliveries
DELETE FROM deliveries
 WHERE seq IN (SELECT seq FROM deliveries WHERE sent_at < $1::timestamptz LIMIT $2);

-- name: PruneEvents
-- Events that belong to no job; those of a job go with it.
DELETE FROM events
 WHERE id IN (SELECT id FROM events WHERE at < $1::timestamptz AND job_id IS NULL ORDER BY at LIMIT $2);

-- name: PruneJobs
-- Ids are ordered by the time they were made, so the primary key leads to the oldest
-- without an index on finished_at that every completion would have to feed: a job
-- that was made after the horizon ($1, as an id) cannot have finished before it. The
-- counts by day stay behind. SKIP LOCKED: two passes share the work.
WITH old AS MATERIALIZED (
    SELECT id
      FROM jobs
     WHERE id < $1 AND state IN ('completed', 'cancelled') AND finished_at < $2::timestamptz
     ORDER BY id
     LIMIT $3
       FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM jobs j
     USING old
     WHERE j.id = old.id AND j.state IN ('completed', 'cancelled')
    RETURNING j.id, j.kind, j.package, j.state, j.canary, j.value_cents, j.finished_at
),
kept AS (
    INSERT INTO job_archive AS a (day, kind, package, state, canary, jobs, value_cents)
    SELECT (finished_at AT TIME ZONE 'UTC')::date, kind, coalesce(package, ''), state, canary, count(*), sum(value_cents)
      FROM gone
     GROUP BY 1, 2, 3, 4, 5
     ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT (day, kind, package, state, canary)
        DO UPDATE SET jobs = a.jobs + excluded.jobs, value_cents = a.value_cents + excluded.value_cents
),
forgotten AS (
    DELETE FROM events e
     USING gone
     WHERE e.job_id = gone.id
    RETURNING e.id
)
SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM forgotten);

-- name: PruneLetters
DELETE FROM dead_letters
 WHERE id IN (SELECT id FROM dead_letters WHERE told_at < $1::timestamptz AND resolved_at < $1::timestamptz LIMIT $2);

-- name: PruneOutbox
DELETE FROM outbox
 WHERE id IN (SELECT id FROM outbox WHERE sent_at < $1::timestamptz LIMIT $2);

-- name: PrunePasses
DELETE FROM monitor_passes
 WHERE (monitor, process) IN (SELECT monitor, process FROM monitor_passes WHERE at < $1::timestamptz LIMIT $2);

-- name: PruneRequests
DELETE FROM idempotency_keys
 WHERE (owner, key) IN (SELECT owner, key FROM idempotency_keys
                         WHERE held_until < $1::timestamptz
                         LIMIT $2);

-- name: PruneRollups
DELETE FROM rollups
 WHERE at < $1::timestamptz AND span = 3600;

-- name: PruneStorms
DELETE FROM storms
 WHERE id IN (SELECT id FROM storms WHERE closed_at < $1::timestamptz LIMIT $2);

-- name: PruneWorkers
-- A worker whose jobs were not recovered yet is kept: recovery must see that it is
-- retired.
DELETE FROM workers
 WHERE id IN (SELECT w.id
                FROM workers w
               WHERE w.retired_at < $1::timestamptz
                 AND NOT EXISTS (SELECT FROM jobs j WHERE j.worker_id = w.id AND j.state = 'in_progress')
               LIMIT $2);

-- name: ReadSecret
SELECT value FROM secrets WHERE name = $1;

-- name: RecentDeliveries
-- What was said of a topic: messages about one alert, on the channel that got most
-- of them, and the latest digest.
SELECT coalesce((SELECT max(n)
                   FROM (SELECT count(*) AS n
                           FROM deliveries
                          WHERE topic = $1 AND created_at > $2::timestamptz AND alert_id IS NOT NULL
                            AND reason NOT IN ('acknowledged', 'resolved')
                          GROUP BY channel) AS singles), 0)::bigint,
       (SELECT max(created_at)
          FROM deliveries
         WHERE topic = $1 AND created_at > $2::timestamptz AND alert_id IS NULL);

-- name: RecordEvents
-- Refused writes: nothing else changed, so nothing can be torn apart.
INSERT INTO events (id, at, type, job_id, worker_id, fence, actor, detail)
SELECT directorybolt_uuid7(), clock_timestamp(), 'write.fenced', lease.id, lease.worker_id, lease.fence,
       'worker:' || lease.worker_id, jsonb_build_object('verb', $4::text)
  FROM unnest($1::uuid[], $2::bigint[], $3::uuid[]) AS lease (id, fence, worker_id);

-- name: RecordPass
INSERT INTO monitor_passes AS m (monitor, process, host, pid, at, good_at, took, error, passes, failed, counts, every)
SELECT $1, $2, $3, $4, now.at, CASE WHEN $6::text IS NULL THEN now.at END, $5, $6, $7, $8, $9, $10
  FROM (SELECT clock_timestamp() AS at OFFSET 0) AS now
    ON CONFLICT (monitor, process)
    DO UPDATE SET at = excluded.at, good_at = coalesce(excluded.good_at, m.good_at), took = excluded.took,
        error = excluded.error, passes = excluded.passes, failed = excluded.failed, counts = excluded.counts,
        every = excluded.every, left_at = NULL;

-- name: RecoverJobs
-- Jobs whose owner is retired, which it stays for ever, so what is read of it needs
-- no second look. SKIP LOCKED: a job that another recovery moves, or that its owner
-- finishes this very moment, is left to them. The UPDATE repeats fence and state on
-- the row it changes. MATERIALIZED: the batch is chosen and locked once. The first
-- recovery of a job has no backoff; later ones have full jitter below a ceiling that
-- doubles. A person who names one job ($6) is the actor ($7), with a reason ($8).
WITH stale AS MATERIALIZED (
    SELECT j.id, j.fence, j.claimed_at, j.attempt, w.retired_cause, w.retired_cause = 'stopped' AS in_order,
           w.retired_cause <> 'stopped' AND j.crashes + 1 >= j.crash_budget AS dead
      FROM jobs j
      JOIN workers w ON w.id = j.worker_id
     WHERE j.state = 'in_progress' AND w.retired_at IS NOT NULL AND ($6::uuid IS NULL OR j.id = $6)
     LIMIT $1
       FOR UPDATE OF j SKIP LOCKED
),
moved AS (
    UPDATE jobs j
       SET state = CASE WHEN dead THEN 'failed' ELSE 'pending' END,
           attempt = CASE WHEN in_order THEN j.attempt - 1 ELSE j.attempt END,
           crashes = CASE WHEN in_order THEN crashes ELSE crashes + 1 END,
           quarantined = quarantined OR NOT in_order AND NOT dead AND crashes + 1 >= $2::integer,
           due_at = CASE
               WHEN in_order OR dead THEN due_at
               WHEN crashes = 0 THEN clock_timestamp()
               ELSE clock_timestamp()
                   + random() * least($3::bigint * power(2, least(crashes - 1, 30)), $4::bigint) * interval '1 microsecond'
           END,
           finished_at = CASE WHEN dead THEN clock_timestamp() END,
           claimed_at = CASE WHEN dead THEN j.claimed_at END,
           progress_at = CASE WHEN dead THEN progress_at END,
           cause = CASE WHEN in_order THEN cause ELSE 'the worker was lost: ' || retired_cause END,
           class = CASE WHEN in_order THEN class ELSE 'crash' END,
           signature = CASE WHEN in_order THEN signature ELSE 'crash: the worker was lost: ' || retired_cause END
      FROM stale
     WHERE j.id = stale.id AND j.fence = stale.fence AND j.state || '' = 'in_progress'
    RETURNING j.*, retired_cause, in_order, stale.claimed_at AS was_claimed_at, stale.attempt AS was_attempt
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(),
           CASE WHEN state = 'failed' THEN 'job.failed' WHEN in_order THEN 'job.released' ELSE 'job.recovered' END,
           id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence, $7, 'in_progress', state,
           CASE WHEN state = 'failed' THEN cause ELSE retired_cause END,
           jsonb_strip_nulls(jsonb_build_object(
               'claimed_at', to_char(was_claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'attempt', was_attempt, 'class', CASE WHEN NOT in_order THEN class END, 'reason', $8::text))
      FROM moved
),
quarantine AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), 'job.quarantined', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence,
           $7, retired_cause, jsonb_build_object('crashes', crashes)
      FROM moved
     WHERE quarantined AND NOT in_order AND state = 'pending' AND crashes = $2
),
lettered AS (
    INSERT INTO dead_letters (id, job_id, kind, customer_id, value_cents, canary, cause, class, signature, attempts, redrives,
        at, copy_due_at)
    SELECT directorybolt_uuid7(), id, kind, customer_id, value_cents, canary, cause, class, signature, attempt, redrives,
           finished_at, finished_at
      FROM moved
     WHERE state = 'failed'
),
alerted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', 'dead_letter:' || id,
           jsonb_strip_nulls(jsonb_build_object('v', 1, 'alert', 'dead_letters', 'group', signature,
               'value_cents', nullif(value_cents, 0), 'canary', nullif(canary, false), 'job_ids', jsonb_build_array(id),
               'customer_id', customer_id, 'job_kind', kind, 'redrives', nullif(redrives, 0),
               'cause', cause, 'class', class, 'signature', signature,
               'at', to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))),
           finished_at, finished_at
      FROM moved
     WHERE state = 'failed'
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
),
hinted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'hint', id::text, jsonb_build_object('v', 1, 'job_id', id), due_at, clock_timestamp()
      FROM moved
     WHERE $5::boolean AND state = 'pending'
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
),
recorded AS (
    INSERT INTO journal (id, at, actor, reason, act, count, value_cents, job_ids)
    SELECT directorybolt_uuid7(), clock_timestamp(), $7, coalesce($8::text, ''), 'recover', 1, CASE WHEN canary THEN 0 ELSE value_cents END, ARRAY[id]
      FROM moved
     WHERE $6::uuid IS NOT NULL AND $7 <> 'system'
)
SELECT id, kind, fence, state, crashes, quarantined, retired_cause, worker_id, value_cents, canary
  FROM moved;

-- name: RecoverStalledJobs
-- Jobs of workers that live, without progress for $9. The UPDATE repeats fence, state
-- and progress on the row it changes: a handler that got further in the last moment
-- keeps its job. Whatever became of the owner meanwhile, the job is taken once. The
-- rest is as in RecoverJobs.
WITH stale AS MATERIALIZED (
    SELECT j.id, j.fence, j.claimed_at, j.progress_at, j.crashes + 1 >= j.crash_budget AS dead
      FROM jobs j
      JOIN workers w ON w.id = j.worker_id
     WHERE j.state = 'in_progress' AND j.progress_at <= statement_timestamp() - $9::bigint * interval '1 microsecond'
       AND w.retired_at IS NULL AND w.lease_until > statement_timestamp() AND ($6::uuid IS NULL OR j.id = $6)
     LIMIT $1
       FOR UPDATE OF j SKIP LOCKED
),
moved AS (
    UPDATE jobs j
       SET state = CASE WHEN dead THEN 'failed' ELSE 'pending' END,
           crashes = crashes + 1,
           quarantined = quarantined OR NOT dead AND crashes + 1 >= $2::integer,
           due_at = CASE
               WHEN dead THEN due_at
               WHEN crashes = 0 THEN clock_timestamp()
               ELSE clock_timestamp()
                   + random() * least($3::bigint * power(2, least(crashes - 1, 30)), $4::bigint) * interval '1 microsecond'
           END,
           finished_at = CASE WHEN dead THEN clock_timestamp() END,
           claimed_at = CASE WHEN dead THEN j.claimed_at END,
           progress_at = CASE WHEN dead THEN j.progress_at END,
           cause = 'the handler made no progress',
           class = 'crash',
           signature = 'crash: the handler made no progress'
      FROM stale
     WHERE j.id = stale.id AND j.fence = stale.fence AND j.state || '' = 'in_progress'
       AND j.progress_at = stale.progress_at
    RETURNING j.*, stale.claimed_at AS was_claimed_at, stale.progress_at AS was_progress_at
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(),
           CASE WHEN state = 'failed' THEN 'job.failed' ELSE 'job.recovered' END,
           id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence, $7, 'in_progress', state,
           CASE WHEN state = 'failed' THEN cause ELSE 'no_progress' END,
           jsonb_strip_nulls(jsonb_build_object(
               'claimed_at', to_char(was_claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'progress_at', to_char(was_progress_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'attempt', attempt, 'class', class, 'reason', $8::text))
      FROM moved
),
quarantine AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), 'job.quarantined', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence,
           $7, 'no_progress', jsonb_build_object('crashes', crashes)
      FROM moved
     WHERE quarantined AND state = 'pending' AND crashes = $2
),
lettered AS (
    INSERT INTO dead_letters (id, job_id, kind, customer_id, value_cents, canary, cause, class, signature, attempts, redrives,
        at, copy_due_at)
    SELECT directorybolt_uuid7(), id, kind, customer_id, value_cents, canary, cause, class, signature, attempt, redrives,
           finished_at, finished_at
      FROM moved
     WHERE state = 'failed'
),
alerted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', 'dead_letter:' || id,
           jsonb_strip_nulls(jsonb_build_object('v', 1, 'alert', 'dead_letters', 'group', signature,
               'value_cents', nullif(value_cents, 0), 'canary', nullif(canary, false), 'job_ids', jsonb_build_array(id),
               'customer_id', customer_id, 'job_kind', kind, 'redrives', nullif(redrives, 0),
               'cause', cause, 'class', class, 'signature', signature,
               'at', to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))),
           finished_at, finished_at
      FROM moved
     WHERE state = 'failed'
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
),
hinted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'hint', id::text, jsonb_build_object('v', 1, 'job_id', id), due_at, clock_timestamp()
      FROM moved
     WHERE $5::boolean AND state = 'pending'
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
),
recorded AS (
    INSERT INTO journal (id, at, actor, reason, act, count, value_cents, job_ids)
    SELECT directorybolt_uuid7(), clock_timestamp(), $7, coalesce($8::text, ''), 'recover', 1, CASE WHEN canary THEN 0 ELSE value_cents END, ARRAY[id]
      FROM moved
     WHERE $6::uuid IS NOT NULL AND $7 <> 'system'
)
SELECT id, kind, fence, state, crashes, quarantined, 'no_progress', worker_id, value_cents, canary
  FROM moved;

-- name: RecoverableJobs
-- Waits for whoever holds such jobs at this moment, and then says which are still
-- to be recovered. The order keeps two that wait from waiting for each other.
SELECT j.id
  FROM jobs j
  JOIN workers w ON w.id = j.worker_id
 WHERE j.state = 'in_progress' AND w.retired_at IS NOT NULL
 ORDER BY j.id
 LIMIT $1
   FOR UPDATE OF j;

-- name: RedriveLetters
-- The letters are locked in the order of their ids, so that two redrives that share
-- some wait for each other in one direction only, and the second finds them decided.
-- A letter that was purged may be redriven by its id. The job's own guard stands in
-- its UPDATE: a letter whose job left failed by another way stays as it is.
WITH chosen AS MATERIALIZED (
    SELECT l.id, l.job_id
      FROM dead_letters l
     WHERE l.id = ANY ($1::uuid[]) AND l.job_id IS NOT NULL AND (l.fate IS NULL OR l.fate = 'purged')
     ORDER BY l.id
       FOR UPDATE
),
again AS (
    UPDATE jobs j
       SET state = 'pending', due_at = clock_timestamp(), attempt = 0, failures = 0, crashes = 0, quarantined = false,
           redrives = redrives + 1, claimed_at = NULL, progress_at = NULL, finished_at = NULL
      FROM chosen
     WHERE j.id = chosen.job_id AND j.state || '' = 'failed'
    RETURNING j.*, chosen.id AS letter_id
),
decided AS (
    UPDATE dead_letters l
       SET fate = 'redriven', redriven_at = clock_timestamp(), resolved_at = NULL, told_at = NULL, actor = $2, reason = $3
      FROM again
     WHERE l.id = again.letter_id AND (l.fate IS NULL OR l.fate = 'purged')
    RETURNING l.id
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), 'job.redriven', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence,
           $2, 'failed', 'pending', $3,
           jsonb_strip_nulls(jsonb_build_object('redrives', redrives, 'failed_with', cause, 'signature', signature, 'letter_id', letter_id))
      FROM again
),
hinted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'hint', id::text, jsonb_build_object('v', 1, 'job_id', id), due_at, clock_timestamp()
      FROM again
     WHERE $4::boolean
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
),
journalled AS (
    INSERT INTO journal (id, at, actor, reason, act, count, value_cents, job_ids)
    SELECT directorybolt_uuid7(), clock_timestamp(), $2, coalesce($3, ''), 'redrive', count(*),
           sum(CASE WHEN canary THEN 0 ELSE value_cents END), (array_agg(id))[1:10]
      FROM again
     WHERE $2 <> 'system'
    HAVING count(*) > 0
)
SELECT id
  FROM decided;

-- name: RedriveOutcomes
-- The row of a job keeps its last failure through a redrive; that it is a new one,
-- the budgets say. A job that was redriven again has left another letter.
SELECT l.id, j.state, CASE
           WHEN j.redrives > l.redrives + 1 THEN (SELECT n.signature
                                                    FROM dead_letters n
                                                   WHERE n.job_id = l.job_id AND n.redrives = l.redrives + 1)
           WHEN j.redrives = l.redrives + 1 AND j.failures + j.crashes > 0 THEN j.signature
       END
  FROM dead_letters l
  JOIN jobs j ON j.id = l.job_id
 WHERE l.id = ANY ($1::uuid[]);

-- name: RegisterWorker
INSERT INTO workers (id, host, pid, version, kinds, capacity, boot, started_at, beat_at, lease_until)
SELECT $1, $2, $3, $4, $5, $6, $8, at, at, at + $7::bigint * interval '1 microsecond'
  FROM (SELECT clock_timestamp() AS at OFFSET 0) AS now
    ON CONFLICT (id) DO NOTHING
RETURNING id;

-- name: ReleaseJobs
WITH held AS MATERIALIZED (
    SELECT j.id, j.fence, j.claimed_at, j.attempt
      FROM jobs j
      JOIN unnest($1::uuid[], $2::bigint[]) AS lease (id, fence) ON j.id = lease.id AND j.fence = lease.fence
     WHERE j.state || '' = 'in_progress'
     ORDER BY j.id
       FOR UPDATE OF j
),
ended AS (
    UPDATE jobs j
       SET state = 'pending', attempt = j.attempt - 1, claimed_at = NULL, progress_at = NULL
      FROM held
     WHERE j.id = held.id AND j.fence = held.fence AND j.state || '' = 'in_progress'
    RETURNING j.*, held.claimed_at AS was_claimed_at, held.attempt AS was_attempt
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), 'job.released', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence,
           'worker:' || worker_id, 'in_progress', 'pending', $3,
           jsonb_strip_nulls(jsonb_build_object(
               'claimed_at', to_char(was_claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'attempt', was_attempt))
      FROM ended
),
hinted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'hint', id::text, jsonb_build_object('v', 1, 'job_id', id), due_at, clock_timestamp()
      FROM ended
     WHERE $4::boolean
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT id, fence
  FROM ended;

-- name: RenewCopies
-- The queue dropped the copy of a letter that is still open.
UPDATE dead_letters
   SET copied_at = NULL, message_id = NULL, sent_at = NULL, expires_at = NULL, copy_due_at = clock_timestamp()
 WHERE fate IS NULL AND job_id IS NOT NULL AND expires_at <= statement_timestamp();

-- name: ReportTurn
-- The failure that makes $4 in a row opens the breaker, each time for twice as long.
-- While it is open, a turn that began before and failed says nothing new. A success
-- closes it.
INSERT INTO pacing AS p (host, next_at, day, day_count, failures)
VALUES ($1, clock_timestamp() + $3::bigint * interval '1 microsecond', (clock_timestamp() AT TIME ZONE 'UTC')::date, 0,
        CASE WHEN $2::boolean THEN 0 ELSE 1 END)
    ON CONFLICT (host) DO UPDATE
   SET next_at = CASE WHEN $3 > 0 THEN greatest(p.next_at, excluded.next_at) ELSE p.next_at END,
       failures = CASE WHEN $2 THEN 0 ELSE least(p.failures + 1, $4::integer) END,
       opens = CASE WHEN $2 THEN 0 WHEN p.failures + 1 = $4 THEN p.opens + 1 ELSE p.opens END,
       open_until = CASE
           WHEN $2 THEN NULL
           WHEN p.failures + 1 = $4
           THEN clock_timestamp() + least($5::bigint * power(2, least(p.opens, 30)), $6::bigint) * interval '1 microsecond'
           ELSE p.open_until
       END;

-- name: ReserveTurn
-- The row is the lock: a second caller waits for the first one's turn and then reads
-- the conditions again. A breaker whose time is over lets one turn through as a
-- trial: it closes again behind it, until the trial is reported or, unreported, is
-- given up; one more failure opens it for longer.
INSERT INTO pacing AS p (host, next_at, day, day_count)
VALUES ($1, clock_timestamp() + $2::bigint * interval '1 microsecond', (clock_timestamp() AT TIME ZONE 'UTC')::date, 1)
    ON CONFLICT (host) DO UPDATE
   SET next_at = clock_timestamp() + $2 * interval '1 microsecond',
       day = (clock_timestamp() AT TIME ZONE 'UTC')::date,
       day_count = CASE WHEN p.day = (clock_timestamp() AT TIME ZONE 'UTC')::date THEN p.day_count + 1 ELSE 1 END,
       failures = CASE WHEN p.open_until IS NULL THEN p.failures ELSE $4::integer - 1 END,
       open_until = CASE WHEN p.open_until IS NOT NULL THEN clock_timestamp() + $5::bigint * interval '1 microsecond' END
 WHERE p.next_at <= statement_timestamp()
   AND (p.open_until IS NULL OR p.open_until <= statement_timestamp())
   AND ($3::integer <= 0 OR p.day_count < $3 OR p.day < (statement_timestamp() AT TIME ZONE 'UTC')::date)
RETURNING host;

-- name: ResolveLetters
-- $5 is the type of the event; an $6 that is NULL is not journalled. A purged message
-- loses its body, and a purged letter of a job keeps the job, which stays failed.
WITH resolved AS (
    UPDATE dead_letters
       SET fate = $2, resolved_at = clock_timestamp(), actor = $3, reason = $4,
           body = CASE WHEN $2 <> 'purged' THEN body END
     WHERE id = ANY ($1::uuid[]) AND fate IS NULL
    RETURNING *
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, actor, to_state, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), $5, job_id, CASE WHEN kind IN ('order', 'canary') THEN job_id END, customer_id,
           $3, $2, $4, jsonb_strip_nulls(jsonb_build_object('letter_id', id, 'signature', signature, 'message_id', message_id))
      FROM resolved
),
journalled AS (
    INSERT INTO journal (id, at, actor, reason, act, count, value_cents, job_ids)
    SELECT directorybolt_uuid7(), clock_timestamp(), $3, coalesce($4, ''), $6, count(*),
           sum(CASE WHEN canary THEN 0 ELSE value_cents END),
           coalesce((array_agg(job_id) FILTER (WHERE job_id IS NOT NULL))[1:10], '{}')
      FROM resolved
     WHERE $6::text IS NOT NULL
    HAVING count(*) > 0
)
SELECT id
  FROM resolved;

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

-- name: RetireExpiredWorkers
-- SKIP LOCKED: a row that is locked is being renewed, or retired by another caller.
-- The UPDATE repeats the condition on the row it changes: a beat that came in
-- between has made it false.
-- With $1 the storm breaker is heard ($2 workers, held for $3), in this statement, so that
-- every monitor decides alike. Whoever fell silent together expires within a heartbeat,
-- one after the other: so it counts who is silent for half of the lease when the first
-- expires. A later start on the same host that was heard of replaced one of its silent,
-- which speaks for a death of its own: that one is not counted. And a server that began less than the lease
-- ago gave its owner no chance to beat.
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
breaker AS MATERIALIZED (
    SELECT $1::boolean AND coalesce(
               (SELECT statement_timestamp() < opened_at + $3::bigint * interval '1 microsecond' FROM storms WHERE closed_at IS NULL),
               expired > 0 AND silent >= $2::integer AND 2 * silent > owners, false) AS holds
      FROM live
),
expired AS MATERIALIZED (
    SELECT w.id
      FROM workers w, breaker
     WHERE w.retired_at IS NULL AND w.lease_until <= statement_timestamp()
       AND (NOT $1::boolean OR statement_timestamp() >= pg_postmaster_start_time() + (w.lease_until - w.beat_at))
       AND (NOT breaker.holds
            OR EXISTS (SELECT
                         FROM workers later
                        WHERE later.host = w.host AND later.boot <> w.boot AND later.boot <> '' AND w.boot <> ''
                          AND later.started_at > w.beat_at))
     ORDER BY w.id
       FOR UPDATE OF w SKIP LOCKED
),
retired AS (
    UPDATE workers w
       SET retired_at = clock_timestamp(), retired_cause = 'lease_expired'
      FROM expired
     WHERE w.id = expired.id AND w.retired_at IS NULL AND w.lease_until <= statement_timestamp()
    RETURNING w.*
),
told AS (
    INSERT INTO events (id, at, type, worker_id, actor, cause, detail)
    SELECT directorybolt_uuid7(), retired_at, 'worker.retired', id, 'system', retired_cause,
           jsonb_build_object('host', host, 'pid', pid, 'lease_until', to_char(lease_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
      FROM retired
)
SELECT id, host, pid, version, kinds, capacity, boot, started_at, beat_at, lease_until, retired_at, retired_cause
  FROM retired;

-- name: RetireUnknownOwners
-- The row says for ever that this worker may do nothing: should it live after all, its
-- next beat ends it. Recovery then takes its jobs as those of any retired worker.
WITH retired AS (
    INSERT INTO workers (id, host, pid, version, kinds, capacity, started_at, beat_at, lease_until, retired_at, retired_cause)
    SELECT owner.id, 'unknown', 0, '', '{}', 1, now.at, now.at, now.at, now.at, 'no_owner'
      FROM unnest($1::uuid[]) AS owner (id)
     CROSS JOIN (SELECT clock_timestamp() AS at OFFSET 0) AS now
     WHERE EXISTS (SELECT FROM jobs j WHERE j.worker_id = owner.id AND j.state = 'in_progress')
        ON CONFLICT (id) DO NOTHING
    RETURNING id, retired_at
),
told AS (
    INSERT INTO events (id, at, type, worker_id, actor, cause)
    SELECT directorybolt_uuid7(), retired_at, 'worker.retired', id, 'system', 'no_owner'
      FROM retired
)
SELECT id
  FROM retired;

-- name: RetireWorker
-- Compare and set: of two callers one finds the worker retired already.
WITH retired AS (
    UPDATE workers
       SET retired_at = clock_timestamp(), retired_cause = $2
     WHERE id = $1 AND retired_at IS NULL
    RETURNING *
),
told AS (
    INSERT INTO events (id, at, type, worker_id, actor, cause, detail)
    SELECT directorybolt_uuid7(), retired_at, 'worker.retired', id, $3, retired_cause,
           jsonb_strip_nulls(jsonb_build_object('host', host, 'pid', pid, 'reason', nullif($4::text, '')))
      FROM retired
)
SELECT id, host, pid, version, kinds, capacity, boot, started_at, beat_at, lease_until, retired_at, retired_cause
  FROM retired;

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

-- name: SaveAlert
INSERT INTO alerts (id, kind, group_name, severity, state, canary, first_at, last_at, count, value_cents, sample, lane, say_at, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    ON CONFLICT (id)
    DO UPDATE SET severity = excluded.severity, state = excluded.state, first_at = excluded.first_at,
        last_at = excluded.last_at, count = excluded.count, value_cents = excluded.value_cents, sample = excluded.sample,
        lane = excluded.lane, say_at = excluded.say_at, detail = excluded.detail;

-- name: SaveChannel
INSERT INTO alert_channels (name, target, next_at, failures, failing_since, held_at, error, good_at, told)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (name)
    DO UPDATE SET target = excluded.target, next_at = excluded.next_at, failures = excluded.failures,
        failing_since = excluded.failing_since, held_at = excluded.held_at, error = excluded.error,
        good_at = excluded.good_at, told = excluded.told;

-- name: SaveDelivery
UPDATE deliveries
   SET next_at = $2, attempts = $3, refusals = $4, doubt_at = $5, sent_at = $6, parked_at = $7, error = $8
 WHERE id = $1;

-- name: SendableDelivery
-- Whether NextDelivery would find one, and the channel does not rest.
SELECT EXISTS (
    SELECT
      FROM deliveries d
     WHERE d.channel = $1 AND d.sent_at IS NULL AND d.next_at <= statement_timestamp()
       AND NOT EXISTS (SELECT
                         FROM deliveries b
                        WHERE b.channel = d.channel AND b.lane = d.lane AND b.sent_at IS NULL AND b.seq < d.seq))
   AND NOT EXISTS (SELECT FROM alert_channels WHERE name = $1 AND next_at > statement_timestamp());

-- name: SessionKey
SELECT key_id
  FROM sessions
 WHERE hash = $1 AND expires_at > statement_timestamp();

-- name: SettleLetters
-- A job that died again has a letter with one redrive more.
UPDATE dead_letters l
   SET resolved_at = clock_timestamp(), fate = CASE
           WHEN j.redrives > l.redrives + 1 OR j.state = 'failed' THEN 'redriven_failed_again'
           WHEN j.state = 'completed' THEN 'redriven_done'
           ELSE 'redriven_cancelled'
       END
  FROM jobs j
 WHERE l.fate = 'redriven' AND j.id = l.job_id
   AND (j.state IN ('completed', 'cancelled', 'failed') OR j.redrives > l.redrives + 1);

-- name: SettleSubmission
-- $4 holds the states from which there is an arrow to the outcome. The outcome of an
-- intent belongs to the claim that made it; another claim may speak only when
-- nothing of it can be on the wire any more. The job's row is changed for its
-- progress, which locks it as the other statements do. A postponement counts as a try.
WITH lease AS (
    UPDATE jobs
       SET progress_at = clock_timestamp()
     WHERE id = $1 AND fence = $2 AND state || '' = 'in_progress'
       AND EXISTS (SELECT FROM submissions s
                    WHERE s.id = $3 AND s.order_id = $1 AND s.state = ANY ($4::text[])
                      AND (s.state = 'planned' OR s.fence = $2 OR s.effect_deadline < statement_timestamp()))
    RETURNING id, fence, worker_id
),
held AS MATERIALIZED (
    SELECT s.id, s.state
      FROM submissions s
      JOIN lease ON s.order_id = lease.id
     WHERE s.id = $3 AND s.state = ANY ($4)
       AND (s.state = 'planned' OR s.fence = $2 OR s.effect_deadline < statement_timestamp())
       FOR UPDATE OF s
),
settled AS (
    UPDATE submissions s
       SET state = $5, class = $6, reason = $7, need = $8, evidence = coalesce($9::jsonb, evidence),
           listing_url = coalesce($10, listing_url),
           tries = tries + CASE WHEN held.state = 'planned' AND $5 = 'planned' THEN 1 ELSE 0 END,
           due_at = CASE WHEN $5 = 'planned' THEN clock_timestamp() + $11::bigint * interval '1 microsecond' END,
           replaced = $13::text IS NOT NULL, updated_at = clock_timestamp()
      FROM held
     WHERE s.id = held.id AND s.state = held.state
    RETURNING s.*, held.state AS was
),
replacement AS (
    INSERT INTO submissions (id, order_id, customer_id, directory, rank, identity, canary, created_at, updated_at)
    SELECT $12::uuid, order_id, customer_id, $13, $14::integer, identity, canary, clock_timestamp(), clock_timestamp()
      FROM settled
     WHERE $13 IS NOT NULL
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, directory, worker_id, fence, actor,
        from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), s.updated_at,
           CASE s.state WHEN 'uncertain' THEN 'submission.uncertain' ELSE 'submission.outcome' END,
           lease.id, s.order_id, s.customer_id, s.directory, lease.worker_id, lease.fence, 'worker:' || lease.worker_id,
           s.was, s.state, s.reason,
           jsonb_strip_nulls(jsonb_build_object('submission_id', s.id, 'try', nullif(s.tries, 0), 'class', s.class,
               'need', s.need, 'rule', s.evidence ->> 'rule', 'listing_url', s.listing_url, 'replaced_by', $13))
      FROM settled s, lease
)
SELECT id
  FROM settled;

-- name: SnoozeJob
WITH held AS MATERIALIZED (
    SELECT id, claimed_at, attempt
      FROM jobs
     WHERE id = $1 AND fence = $2 AND state || '' = 'in_progress'
       FOR UPDATE
),
ended AS (
    UPDATE jobs j
       SET state = 'pending', attempt = j.attempt - 1, due_at = clock_timestamp() + $3::bigint * interval '1 microsecond',
           claimed_at = NULL, progress_at = NULL
      FROM held
     WHERE j.id = held.id AND j.fence = $2 AND j.state || '' = 'in_progress'
    RETURNING j.*, held.claimed_at AS was_claimed_at, held.attempt AS was_attempt
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, worker_id, fence, actor, from_state, to_state, cause, detail)
    SELECT directorybolt_uuid7(), clock_timestamp(), 'job.snoozed', id, CASE WHEN kind IN ('order', 'canary') THEN id END, customer_id, worker_id, fence,
           $5, 'in_progress', 'pending', $4,
           jsonb_strip_nulls(jsonb_build_object(
               'claimed_at', to_char(was_claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'attempt', was_attempt, 'until', to_char(due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
      FROM ended
),
hinted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'hint', id::text, jsonb_build_object('v', 1, 'job_id', id), due_at, clock_timestamp()
      FROM ended
     WHERE $6::boolean
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT id
  FROM ended;

-- name: StaleJobs
-- Running jobs that recovery takes or is about to, and by which of its conditions.
SELECT j.id, j.kind, why.cause, why.since, j.fence, j.crashes, j.crash_budget, j.value_cents, j.canary, j.worker_id,
    coalesce(w.host, ''), coalesce(w.pid, 0), w.beat_at, j.claimed_at, j.progress_at
  FROM jobs j
  LEFT JOIN workers w ON w.id = j.worker_id
 CROSS JOIN LATERAL (
    SELECT CASE
               WHEN w.id IS NULL THEN 'no_owner'
               WHEN w.retired_at IS NOT NULL THEN w.retired_cause
               WHEN w.lease_until <= statement_timestamp() THEN 'lease_expired'
               WHEN j.progress_at <= statement_timestamp() - $1::bigint * interval '1 microsecond' THEN 'no_progress'
           END AS cause,
           CASE
               WHEN w.id IS NULL THEN j.claimed_at
               WHEN w.retired_at IS NOT NULL THEN w.retired_at
               WHEN w.lease_until <= statement_timestamp() THEN w.lease_until
               ELSE j.progress_at
           END AS since
 ) AS why
 WHERE j.state = 'in_progress' AND why.cause IS NOT NULL
 ORDER BY why.since, j.id
 LIMIT $2;

-- name: StaleLetters
-- A person took the job out of failed by another way.
UPDATE dead_letters l
   SET resolved_at = clock_timestamp(), fate = 'stale'
  FROM jobs j
 WHERE l.fate IS NULL AND j.id = l.job_id AND j.state <> 'failed';

-- name: Standings
SELECT id, state, due_at <= statement_timestamp() AS due, priority, customer_id, finished_at
  FROM jobs
 WHERE id = ANY ($1::uuid[]);

-- name: StoreNow
SELECT clock_timestamp();

-- name: StrayLeases
-- Claims of the worker that it does not report, older than $3.
SELECT id, fence
  FROM jobs
 WHERE worker_id = $1 AND state = 'in_progress'
   AND NOT id = ANY ($2::uuid[])
   AND claimed_at < statement_timestamp() - $3::bigint * interval '1 microsecond';

-- name: SweepRateLimits
-- A row that somebody asks for at this moment is his.
DELETE FROM rate_limit
 WHERE key IN (SELECT key
                 FROM rate_limit
                WHERE coalesce(hits[cardinality(hits)] >> 20, 0) + win <= date_part('epoch', clock_timestamp()) * 1000
                LIMIT $1
                  FOR UPDATE SKIP LOCKED);

-- name: TakeLetters
-- SKIP LOCKED: two monitors never copy the same letter at once.
WITH due AS MATERIALIZED (
    SELECT id
      FROM dead_letters
     WHERE fate IS NULL AND copied_at IS NULL AND job_id IS NOT NULL AND copy_due_at <= statement_timestamp()
     ORDER BY copy_due_at
     LIMIT $1
       FOR UPDATE SKIP LOCKED
)
UPDATE dead_letters l
   SET copy_due_at = clock_timestamp() + $2::bigint * interval '1 microsecond'
  FROM due
 WHERE l.id = due.id
RETURNING l.id, l.job_id, l.kind, l.customer_id, l.value_cents, l.canary, l.cause, l.class, l.signature, l.attempts, l.redrives,
    l.at, l.fate, l.actor, l.reason, l.redriven_at, l.resolved_at, l.message_id, l.body, l.receives, l.sent_at, l.expires_at,
    l.copied_at, 0, 0;

-- name: TakeMessages
-- SKIP LOCKED: two takers never get the same message at once.
WITH due AS MATERIALIZED (
    SELECT id
      FROM outbox
     WHERE sent_at IS NULL AND kind = $3 AND not_before <= statement_timestamp()
     ORDER BY not_before
     LIMIT $1
       FOR UPDATE SKIP LOCKED
)
UPDATE outbox o
   SET attempts = attempts + 1, not_before = clock_timestamp() + $2::bigint * interval '1 microsecond'
  FROM due
 WHERE o.id = due.id
RETURNING o.id, o.kind, o.key, o.payload, o.not_before, o.attempts, o.created_at;

-- name: TakeTurn
-- Most who ask are too early: they look without the lock, which is written down.
INSERT INTO turns AS t (name, at)
SELECT $1, now.at
  FROM (SELECT clock_timestamp() AS at OFFSET 0) AS now
 WHERE NOT EXISTS (SELECT FROM turns early WHERE early.name = $1 AND early.at > now.at - $2::bigint * interval '1 microsecond')
    ON CONFLICT (name)
    DO UPDATE SET at = excluded.at
     WHERE t.at <= excluded.at - $2::bigint * interval '1 microsecond';

-- name: TellNotice
-- An event, and what a person must be told with it; $11 is NULL where nobody must.
-- The moment of the notice is the event's. A double of an unsent one takes its place
-- under a new id, as in jobs.sql.
WITH told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, directory, worker_id, fence, actor, from_state, to_state,
        cause, detail)
    VALUES (directorybolt_uuid7(), clock_timestamp(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $12, $13)
    RETURNING at
)
INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
SELECT directorybolt_uuid7(), 'alert', $11, $14::jsonb || jsonb_build_object('at',
           coalesce($14::jsonb ->> 'at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))), at, at
  FROM told
 WHERE $11::text IS NOT NULL
    ON CONFLICT (kind, key) WHERE sent_at IS NULL
    DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
        attempts = 0, created_at = excluded.created_at;

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

-- name: UnreadNotices
SELECT id, kind, key, payload, not_before, attempts, created_at
  FROM outbox
 WHERE kind = 'alert' AND sent_at IS NULL
 ORDER BY created_at, id
 LIMIT $1;

-- name: WarnExpiring
WITH warned AS (
    UPDATE dead_letters
       SET warned_at = clock_timestamp()
     WHERE id = ANY ($1::uuid[]) AND fate IS NULL AND warned_at IS NULL
    RETURNING *
),
told AS (
    INSERT INTO events (id, at, type, job_id, order_id, customer_id, actor, cause, detail)
    SELECT directorybolt_uuid7(), warned_at, 'letter.expiring', job_id, CASE WHEN kind IN ('order', 'canary') THEN job_id END,
           customer_id, 'system', cause,
           jsonb_strip_nulls(jsonb_build_object('letter_id', id, 'message_id', message_id,
               'expires_at', to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
      FROM warned
),
alerted AS (
    INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
    SELECT directorybolt_uuid7(), 'alert', $2, $3, clock_timestamp(), clock_timestamp()
     WHERE EXISTS (SELECT FROM warned)
        ON CONFLICT (kind, key) WHERE sent_at IS NULL
        DO UPDATE SET id = excluded.id, payload = excluded.payload, not_before = excluded.not_before,
            attempts = 0, created_at = excluded.created_at
)
SELECT id
  FROM warned;
