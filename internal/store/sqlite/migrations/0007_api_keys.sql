-- +goose Up
-- Who may ask the API, browser sessions, and the answers that are repeated.

-- What an act changed, where that is no job.
ALTER TABLE journal ADD COLUMN subject TEXT NOT NULL DEFAULT '';

CREATE TABLE api_keys (
    id           TEXT    PRIMARY KEY,
    name         TEXT    NOT NULL,
    role         TEXT    NOT NULL CHECK (role IN ('customer', 'worker', 'staff', 'admin')),
    customer_id  TEXT,
    hash         BLOB    NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the key's text
    created_at   INTEGER NOT NULL,
    created_by   TEXT    NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER,
    CONSTRAINT api_keys_owner CHECK ((role = 'customer') = (customer_id IS NOT NULL))
) STRICT;

CREATE TABLE sessions (
    hash       BLOB    PRIMARY KEY CHECK (length(hash) = 32), -- SHA-256 of the cookie
    key_id     TEXT    NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_of_key ON sessions (key_id);
CREATE INDEX sessions_over ON sessions (expires_at);

CREATE TABLE idempotency_keys (
    owner        TEXT    NOT NULL,
    key          TEXT    NOT NULL,
    fingerprint  BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    held_until   INTEGER NOT NULL, -- by the request that is being answered
    answered_at  INTEGER,
    status       INTEGER,
    content_type TEXT,
    location     TEXT,
    body         BLOB,
    PRIMARY KEY (owner, key)
) STRICT;

CREATE INDEX idempotency_keys_old ON idempotency_keys (held_until);
