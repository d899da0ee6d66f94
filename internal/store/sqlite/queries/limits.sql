-- Statements on the logs of rate limits. Times are milliseconds.

-- name: ReadRateLimit
SELECT hits FROM rate_limit WHERE key = ?1;

-- name: WriteRateLimit
INSERT INTO rate_limit (key, gone_at, hits)
VALUES (?1, ?2, ?3)
    ON CONFLICT (key) DO UPDATE SET gone_at = excluded.gone_at, hits = excluded.hits;

-- name: SweepRateLimits
DELETE FROM rate_limit WHERE key IN (SELECT key FROM rate_limit WHERE gone_at <= ?1 LIMIT ?2);

-- name: KeepSecret
INSERT INTO secrets (name, value, made_at) VALUES (?1, ?2, ?3)
    ON CONFLICT (name) DO NOTHING;

-- name: ReadSecret
SELECT value FROM secrets WHERE name = ?1;
