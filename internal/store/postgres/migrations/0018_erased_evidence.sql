-- +goose Up
SET LOCAL lock_timeout = '3s';

-- Blobs that outcomes of erased customers referred to. Each process that keeps evidence on
-- a disk of its own learns here what to remove, also one that was off for a while.
CREATE TABLE erased_evidence (
    at     timestamptz NOT NULL,
    sha256 text        NOT NULL,
    PRIMARY KEY (at, sha256) -- the order in which it is read
);

ALTER TABLE erased_evidence ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON erased_evidence FROM PUBLIC;

-- +goose StatementBegin
DO $$
DECLARE
    exposed name;
BEGIN
    FOR exposed IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON erased_evidence FROM %I', exposed);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
        REVOKE ALL ON erased_evidence FROM service_role;
        GRANT SELECT, INSERT, DELETE ON erased_evidence TO service_role;
    END IF;
END
$$;
-- +goose StatementEnd
