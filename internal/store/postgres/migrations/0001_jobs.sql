-- +goose Up
-- Jobs, their owners, their history and what must still be sent about them.

-- A UUIDv7, for rows that are made in SQL. The clock is named in full: ids follow
-- the real one, whatever a test does to the store's.
CREATE FUNCTION directorybolt_uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT pg_catalog.encode(pg_catalog.set_bit(pg_catalog.set_bit(pg_catalog.overlay(
        pg_catalog.uuid_send(pg_catalog.gen_random_uuid()),
        pg_catalog.substring(pg_catalog.int8send(
            (EXTRACT(epoch FROM pg_catalog.clock_timestamp()) * 1000)::bigint), 3),
        1, 6), 52, 1), 53, 1), 'hex')::uuid
$$;

CREATE TABLE jobs (
    id              uuid        PRIMARY KEY,
    kind            text        NOT NULL CHECK (kind <> ''),
    state           text        NOT NULL DEFAULT 'pending'
                                CHECK (state IN ('pending', 'in_progress', 'completed', 'failed', 'cancelled')),
    priority        smallint    NOT NULL DEFAULT 4 CHECK (priority BETWEEN 1 AND 4),
    due_at          timestamptz NOT NULL,
    fence           bigint      NOT NULL DEFAULT 0 CHECK (fence >= 0),
    attempt         integer     NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    failures        integer     NOT NULL DEFAULT 0 CHECK (failures BETWEEN 0 AND max_attempts),
    crashes         integer     NOT NULL DEFAULT 0 CHECK (crashes BETWEEN 0 AND crash_budget),
    max_attempts    integer     NOT NULL CHECK (max_attempts > 0),
    crash_budget    integer     NOT NULL CHECK (crash_budget > 0),
    quarantined     boolean     NOT NULL DEFAULT false,
    canary          boolean     NOT NULL DEFAULT false,
    redrives        integer     NOT NULL DEFAULT 0,
    worker_id       uuid,
    customer_id     uuid,
    package         text,
    quota           integer     CHECK (quota > 0),
    shortfall       integer     CHECK (shortfall >= 0),
    value_cents     bigint      NOT NULL DEFAULT 0 CHECK (value_cents >= 0),
    payload         jsonb       NOT NULL,
    idempotency_key text,
    created_at      timestamptz NOT NULL,
    claimed_at      timestamptz,
    progress_at     timestamptz,
    finished_at     timestamptz,
    cause           text,
    class           text,
    signature       text,
    CONSTRAINT jobs_owned CHECK (state <> 'in_progress' OR (worker_id IS NOT NULL AND fence > 0 AND attempt > 0)),
    CONSTRAINT jobs_finished CHECK ((finished_at IS NOT NULL) = (state IN ('completed', 'failed', 'cancelled')))
);

-- Claim walks it from the front, one range for each priority.
CREATE INDEX jobs_for_claim ON jobs (priority, due_at, id) WHERE state = 'pending' AND NOT quarantined;
CREATE INDEX jobs_quarantined ON jobs (due_at, id) WHERE state = 'pending' AND quarantined;
-- Recovery and the beat look for the jobs of an owner.
CREATE INDEX jobs_for_recovery ON jobs (worker_id) WHERE state = 'in_progress';
CREATE INDEX jobs_failed ON jobs (id) WHERE state = 'failed';
CREATE INDEX jobs_of_customer ON jobs (customer_id, id) WHERE customer_id IS NOT NULL;
CREATE UNIQUE INDEX jobs_idempotency ON jobs (idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE workers (
    id            uuid        PRIMARY KEY,
    host          text        NOT NULL,
    pid           integer     NOT NULL,
    version       text        NOT NULL,
    kinds         text[]      NOT NULL,
    capacity      integer     NOT NULL CHECK (capacity > 0),
    started_at    timestamptz NOT NULL,
    beat_at       timestamptz NOT NULL,
    lease_until   timestamptz NOT NULL,
    retired_at    timestamptz,
    retired_cause text,
    CONSTRAINT workers_retired CHECK ((retired_at IS NULL) = (retired_cause IS NULL))
) WITH (fillfactor = 50);

CREATE INDEX workers_live ON workers (id) WHERE retired_at IS NULL;

-- Append-only: the rights to change or delete are revoked, and nothing here does
-- but retention.
CREATE TABLE events (
    id          uuid        PRIMARY KEY,
    at          timestamptz NOT NULL,
    type        text        NOT NULL,
    v           smallint    NOT NULL DEFAULT 1,
    job_id      uuid,
    order_id    uuid,
    customer_id uuid,
    directory   text,
    worker_id   uuid,
    fence       bigint,
    actor       text        NOT NULL,
    from_state  text,
    to_state    text,
    cause       text,
    detail      jsonb
);

CREATE INDEX events_of_job ON events (job_id, at, id) WHERE job_id IS NOT NULL;
CREATE INDEX events_by_time ON events (at);

CREATE TABLE outbox (
    id         uuid        PRIMARY KEY,
    kind       text        NOT NULL CHECK (kind IN ('hint', 'alert')),
    key        text        NOT NULL,
    payload    jsonb       NOT NULL,
    not_before timestamptz NOT NULL,
    attempts   integer     NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    sent_at    timestamptz
);

CREATE UNIQUE INDEX outbox_once ON outbox (kind, key) WHERE sent_at IS NULL;
CREATE INDEX outbox_due ON outbox (not_before) WHERE sent_at IS NULL;

CREATE TABLE pauses (
    scope  text        PRIMARY KEY CHECK (scope = 'all' OR scope LIKE 'kind:%' OR scope LIKE 'customer:%'),
    at     timestamptz NOT NULL,
    actor  text        NOT NULL,
    reason text        NOT NULL
);

-- What retention leaves of finished jobs: counts, no person.
CREATE TABLE job_archive (
    day         date    NOT NULL,
    kind        text    NOT NULL,
    package     text    NOT NULL DEFAULT '',
    state       text    NOT NULL,
    canary      boolean NOT NULL,
    jobs        bigint  NOT NULL,
    value_cents bigint  NOT NULL,
    PRIMARY KEY (day, kind, package, state, canary)
);
