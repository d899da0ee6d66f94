-- Statements on the logs of rate limits. They are ratelimit.Log in SQL; its tests hold
-- the two against each other. Times are milliseconds.

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

-- name: SweepRateLimits
-- A row that somebody asks for at this moment is his.
DELETE FROM rate_limit
 WHERE key IN (SELECT key
                 FROM rate_limit
                WHERE coalesce(hits[cardinality(hits)] >> 20, 0) + win <= date_part('epoch', clock_timestamp()) * 1000
                LIMIT $1
                  FOR UPDATE SKIP LOCKED);

-- name: KeepSecret
INSERT INTO secrets (name, value) VALUES ($1, $2)
    ON CONFLICT (name) DO NOTHING;

-- name: ReadSecret
SELECT value FROM secrets WHERE name = $1;
