-- +goose Up
-- Facts by the minute, later by the hour, for reports of a year: how many passes,
-- beats, recoveries, jobs. Each row is a sum that grows.

CREATE TABLE rollups (
    name   text        NOT NULL CHECK (name <> ''),
    at     timestamptz NOT NULL, -- begin of the minute or hour
    span   integer     NOT NULL CHECK (span IN (60, 3600)), -- seconds
    labels text        NOT NULL,
    value  bigint      NOT NULL,
    PRIMARY KEY (name, at, span, labels)
) WITH (fillfactor = 70);

-- Retention folds minutes into hours, oldest first.
CREATE INDEX rollups_minutes ON rollups (at) WHERE span = 60;

ALTER TABLE rollups ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON rollups FROM PUBLIC;

-- +goose StatementBegin
DO $$
DECLARE
    exposed name;
BEGIN
    FOR exposed IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON rollups FROM %I', exposed);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
        REVOKE ALL ON rollups FROM service_role;
        GRANT SELECT, INSERT, UPDATE, DELETE ON rollups TO service_role;
    END IF;
END
$$;
-- +goose StatementEnd
