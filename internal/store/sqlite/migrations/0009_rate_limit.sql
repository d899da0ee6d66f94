-- +goose Up
-- The log of each rate limit's key, and secrets that this installation made for
-- itself.

CREATE TABLE rate_limit (
    key     BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 16),
    gone_at INTEGER NOT NULL, -- milliseconds: when the last stamp has left its window
    hits    BLOB    NOT NULL  -- ratelimit.Log, eight bytes an element, the highest first
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
    name    TEXT    NOT NULL PRIMARY KEY,
    value   BLOB    NOT NULL CHECK (length(value) >= 16),
    made_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
