-- +goose Up
-- Who may ask the API, browser sessions, and the answers that are repeated.

-- What an act changed, where that is no job.
ALTER TABLE journal ADD COLUMN subject text NOT NULL DEFAULT '';

CREATE TABLE api_keys (
    id           text        PRIMARY KEY,
    name         text        NOT NULL,
    role         text        NOT NULL CHECK (role IN ('customer', 'worker', 'staff', 'admin')),
    customer_id  uuid,
    hash         bytea       NOT NULL CHECK (octet_length(hash) = 32), -- SHA-256 of the key's text
    created_at   timestamptz NOT NULL,
    created_by   text        NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    CONSTRAINT api_keys_owner CHECK ((role = 'customer') = (customer_id IS NOT NULL))
) WITH (fillfactor = 50);

CREATE TABLE sessions (
    hash       bytea       PRIMARY KEY CHECK (octet_length(hash) = 32), -- SHA-256 of the cookie
    key_id     text        NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX sessions_of_key ON sessions (key_id);
CREATE INDEX sessions_over ON sessions (expires_at);

CREATE TABLE idempotency_keys (
    owner        text        NOT NULL,
    key          text        NOT NULL,
    fingerprint  bytea       NOT NULL CHECK (octet_length(fingerprint) = 32),
    held_until   timestamptz NOT NULL, -- by the request that is being answered
    answered_at  timestamptz,
    status       integer,
    content_type text,
    location     text,
    body         bytea,
    PRIMARY KEY (owner, key)
);

CREATE INDEX idempotency_keys_old ON idempotency_keys (held_until);

ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON api_keys, sessions, idempotency_keys FROM PUBLIC;

-- +goose StatementBegin
DO $$
DECLARE
    exposed name;
BEGIN
    FOR exposed IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON api_keys, sessions, idempotency_keys FROM %I', exposed);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
        REVOKE ALL ON api_keys, sessions, idempotency_keys FROM service_role;
        GRANT SELECT, INSERT, UPDATE, DELETE ON api_keys, sessions, idempotency_keys TO service_role;
    END IF;
END
$$;
-- +goose StatementEnd
