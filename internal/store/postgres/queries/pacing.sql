-- Statements on the turns of each host and its circuit breaker. Durations are
-- microseconds.

-- name: GetPacing
SELECT next_at, day, day_count, open_until, clock_timestamp()
  FROM pacing
 WHERE host = $1;

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
