-- +goose Up
-- Times at which so many workers seemed dead at once that nobody believed it, and
-- the boot of the machine that each worker runs on.

ALTER TABLE workers ADD COLUMN boot text NOT NULL DEFAULT '';

CREATE TABLE storms (
    id        uuid        PRIMARY KEY,
    opened_at timestamptz NOT NULL,
    owners    integer     NOT NULL CHECK (owners > 0),
    dead      integer     NOT NULL CHECK (dead BETWEEN 1 AND owners),
    calm_at   timestamptz, -- since when there are few enough again
    closed_at timestamptz,
    ending    text        CHECK (ending IN ('beats', 'proof', 'time_over')),
    CONSTRAINT storms_closed CHECK ((closed_at IS NULL) = (ending IS NULL))
);

-- Two monitors that see a storm at once open one.
CREATE UNIQUE INDEX storms_one_open ON storms ((true)) WHERE closed_at IS NULL;
CREATE INDEX storms_by_time ON storms (opened_at);

ALTER TABLE storms ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON storms FROM PUBLIC;

-- +goose StatementBegin
DO $$
DECLARE
    exposed name;
BEGIN
    FOR exposed IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON storms FROM %I', exposed);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
        REVOKE ALL ON storms FROM service_role;
        GRANT SELECT, INSERT, UPDATE, DELETE ON storms TO service_role;
    END IF;
END
$$;
-- +goose StatementEnd
