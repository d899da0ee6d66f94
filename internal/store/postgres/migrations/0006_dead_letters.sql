-- +goose Up
-- Dead letters, one for each death of a job and one for each message that the dead
-- letter queue held and no job explains; and the journal of what people did.

CREATE TABLE dead_letters (
    id          uuid        PRIMARY KEY,
    job_id      uuid,
    kind        text,
    customer_id uuid,
    value_cents bigint      NOT NULL DEFAULT 0 CHECK (value_cents >= 0),
    canary      boolean     NOT NULL DEFAULT false,
    cause       text        NOT NULL,
    class       text        NOT NULL,
    signature   text        NOT NULL,
    attempts    integer     NOT NULL DEFAULT 0,
    redrives    integer     NOT NULL DEFAULT 0,
    at          timestamptz NOT NULL,
    -- What became of it; NULL: nobody has decided.
    fate        text        CHECK (fate IN ('redriven', 'redriven_done', 'redriven_failed_again', 'redriven_cancelled',
                                            'moved', 'purged', 'expired', 'stale')),
    actor       text,
    reason      text,
    redriven_at timestamptz,
    resolved_at timestamptz,
    told_at     timestamptz, -- people were told its fate
    -- Its message in the dead letter queue.
    copy_due_at timestamptz NOT NULL,
    copied_at   timestamptz,
    message_id  text,
    body        bytea,
    receives    integer     NOT NULL DEFAULT 0,
    sent_at     timestamptz,
    expires_at  timestamptz,
    warned_at   timestamptz, -- people were told that it is about to expire
    CONSTRAINT dead_letters_named CHECK (job_id IS NOT NULL OR message_id IS NOT NULL),
    CONSTRAINT dead_letters_resolved CHECK ((resolved_at IS NOT NULL) = (fate IS NOT NULL AND fate <> 'redriven'))
);

-- A failed job has one open letter.
CREATE UNIQUE INDEX dead_letters_once ON dead_letters (job_id) WHERE fate IS NULL AND job_id IS NOT NULL;
CREATE INDEX dead_letters_open ON dead_letters (id) WHERE fate IS NULL;
CREATE INDEX dead_letters_of_customer ON dead_letters (customer_id, id) WHERE fate IS NULL;
CREATE INDEX dead_letters_of_job ON dead_letters (job_id, redrives) WHERE job_id IS NOT NULL;
-- Those that keep their group open.
CREATE INDEX dead_letters_of_group ON dead_letters (signature, canary) WHERE fate IS NULL OR fate = 'redriven';
CREATE INDEX dead_letters_in_flight ON dead_letters (id) WHERE fate = 'redriven';
CREATE INDEX dead_letters_untold ON dead_letters (signature, canary) WHERE told_at IS NULL AND resolved_at IS NOT NULL;
CREATE INDEX dead_letters_to_copy ON dead_letters (copy_due_at) WHERE fate IS NULL AND copied_at IS NULL AND job_id IS NOT NULL;
CREATE INDEX dead_letters_expiring ON dead_letters (expires_at) WHERE fate IS NULL AND expires_at IS NOT NULL;
CREATE UNIQUE INDEX dead_letters_of_message ON dead_letters (message_id) WHERE job_id IS NULL;

-- What failed before this table was there.
INSERT INTO dead_letters (id, job_id, kind, customer_id, value_cents, canary, cause, class, signature, attempts, redrives,
    at, copy_due_at)
SELECT directorybolt_uuid7(), id, kind, customer_id, value_cents, canary, coalesce(cause, ''), coalesce(class, ''),
       coalesce(signature, ''), attempt, redrives, finished_at, finished_at
  FROM jobs
 WHERE state = 'failed';

-- Append-only, as events.
CREATE TABLE journal (
    id          uuid        PRIMARY KEY,
    at          timestamptz NOT NULL,
    actor       text        NOT NULL,
    reason      text        NOT NULL,
    act         text        NOT NULL CHECK (act <> ''),
    count       bigint      NOT NULL,
    value_cents bigint      NOT NULL,
    job_ids     uuid[]      NOT NULL
);

ALTER TABLE dead_letters ENABLE ROW LEVEL SECURITY;
ALTER TABLE journal ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON dead_letters, journal FROM PUBLIC;

-- +goose StatementBegin
DO $$
DECLARE
    exposed name;
BEGIN
    FOR exposed IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON dead_letters, journal FROM %I', exposed);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
        REVOKE ALL ON dead_letters, journal FROM service_role;
        GRANT SELECT, INSERT, UPDATE, DELETE ON dead_letters TO service_role;
        GRANT SELECT, INSERT ON journal TO service_role;
    END IF;
END
$$;
-- +goose StatementEnd
