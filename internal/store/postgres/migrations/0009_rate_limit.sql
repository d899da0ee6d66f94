-- +goose Up
-- The log of each rate limit's key, and secrets that this installation made for
-- itself.

-- hits are stamps, oldest first: milliseconds << 20, and how many passed with that
-- stamp. The columns between key and hits are the latest ask and the answer to it:
-- an upsert can read nothing else of what was asked, and return nothing else of what
-- it found. No column has an index but the key, so updates stay on their page.
CREATE TABLE rate_limit (
    key         uuid    PRIMARY KEY,
    asked       integer NOT NULL,
    lim         integer NOT NULL CHECK (lim > 0),
    win         integer NOT NULL CHECK (win > 0), -- milliseconds, as all times here
    debt        integer NOT NULL,
    debt_age    integer NOT NULL,
    known       integer NOT NULL,
    known_at    bigint  NOT NULL,
    known_until bigint  NOT NULL,
    at          bigint  NOT NULL,
    granted     integer NOT NULL,
    used        integer NOT NULL,
    free_at     bigint  NOT NULL,
    hits        bigint[] NOT NULL
) WITH (fillfactor = 50, toast_tuple_target = 8160);

ALTER TABLE rate_limit ALTER COLUMN hits SET STORAGE MAIN;

CREATE TABLE secrets (
    name    text        PRIMARY KEY,
    value   bytea       NOT NULL CHECK (length(value) >= 16),
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

ALTER TABLE rate_limit ENABLE ROW LEVEL SECURITY;
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON rate_limit, secrets FROM PUBLIC;

-- +goose StatementBegin
DO $$
DECLARE
    exposed name;
BEGIN
    FOR exposed IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON rate_limit, secrets FROM %I', exposed);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
        REVOKE ALL ON rate_limit, secrets FROM service_role;
        GRANT SELECT, INSERT, UPDATE, DELETE ON rate_limit TO service_role;
        GRANT SELECT, INSERT ON secrets TO service_role;
    END IF;
END
$$;
-- +goose StatementEnd
