-- +goose Up
-- What monitors found wrong and told people of, so that any number of them, and
-- one that starts anew, tell it once; and whose turn it is to look.

CREATE TABLE findings (
    kind        text        NOT NULL CHECK (kind <> ''),
    subject     text        NOT NULL,
    cause       text        NOT NULL,
    mark        text        NOT NULL,
    since       timestamptz NOT NULL,
    count       bigint      NOT NULL CHECK (count > 0),
    value_cents bigint      NOT NULL,
    job_id      uuid,
    order_id    uuid,
    customer_id uuid,
    directory   text,
    worker_id   uuid,
    first_at    timestamptz NOT NULL,
    told_at     timestamptz,
    PRIMARY KEY (kind, subject)
);

CREATE TABLE turns (
    name text        PRIMARY KEY,
    at   timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Intents without an outcome: those whose order is over are nobody's.
CREATE INDEX submissions_undecided ON submissions (effect_deadline) WHERE state = 'submitting';

-- How often a monitor looks, and that it left in order: silence is told from both.
ALTER TABLE monitor_passes ADD COLUMN every bigint NOT NULL DEFAULT 0; -- microseconds
ALTER TABLE monitor_passes ADD COLUMN left_at timestamptz;

ALTER TABLE findings ENABLE ROW LEVEL SECURITY;
ALTER TABLE turns ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON findings, turns FROM PUBLIC;

-- +goose StatementBegin
DO $$
DECLARE
    exposed name;
BEGIN
    FOR exposed IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON findings, turns FROM %I', exposed);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
        REVOKE ALL ON findings, turns FROM service_role;
        GRANT SELECT, INSERT, UPDATE, DELETE ON findings, turns TO service_role;
    END IF;
END
$$;
-- +goose StatementEnd
