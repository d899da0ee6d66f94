-- Statements on the turns of each host.

-- name: GetPacing
SELECT next_at, day, day_count, failures, opens, open_until FROM pacing WHERE host = ?1;

-- name: ReserveTurn
INSERT INTO pacing (host, next_at, day, day_count, failures, opens, open_until)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (host) DO UPDATE SET next_at = excluded.next_at, day = excluded.day, day_count = excluded.day_count,
        failures = excluded.failures, open_until = excluded.open_until;

-- name: ReportTurn
INSERT INTO pacing (host, next_at, day, day_count, failures, opens, open_until)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (host) DO UPDATE SET next_at = excluded.next_at, failures = excluded.failures,
        opens = excluded.opens, open_until = excluded.open_until;
