-- +goose Up
-- What the latest pass of each monitor came to, in each process: the proof that
-- somebody watches.

CREATE TABLE monitor_passes (
    monitor text        NOT NULL CHECK (monitor <> ''),
    process uuid        NOT NULL,
    host    text        NOT NULL,
    pid     integer     NOT NULL,
    at      timestamptz NOT NULL,
    good_at timestamptz,
    took    bigint      NOT NULL CHECK (took >= 0), -- microseconds
    error   text,
    passes  bigint      NOT NULL CHECK (passes > 0),
    failed  bigint      NOT NULL CHECK (failed BETWEEN 0 AND passes),
    counts  jsonb       NOT NULL,
    PRIMARY KEY (monitor, process)
) WITH (fillfactor = 50);

ALTER TABLE monitor_passes ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON monitor_passes FROM PUBLIC;

-- +goose StatementBegin
DO $$
DECLARE
    exposed name;
BEGIN
    FOR exposed IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON monitor_passes FROM %I', exposed);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
        REVOKE ALL ON monitor_passes FROM service_role;
        GRANT SELECT, INSERT, UPDATE, DELETE ON monitor_passes TO service_role;
    END IF;
END
$$;
-- +goose StatementEnd
