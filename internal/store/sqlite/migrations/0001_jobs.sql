-- +goose Up
-- Jobs, their owners, their history and what must still be sent about them.
-- Times are microseconds since 1970 in UTC, ids are UUIDs as text, JSON is text.

CREATE TABLE jobs (
    id              TEXT    NOT NULL PRIMARY KEY,
    kind            TEXT    NOT NULL CHECK (kind <> ''),
    state           TEXT    NOT NULL DEFAULT 'pending'
                            CHECK (state IN ('pending', 'in_progress', 'completed', 'failed', 'cancelled')),
    priority        INTEGER NOT NULL DEFAULT 4 CHECK (priority BETWEEN 1 AND 4),
    due_at          INTEGER NOT NULL,
    fence           INTEGER NOT NULL DEFAULT 0 CHECK (fence >= 0),
    attempt         INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    failures        INTEGER NOT NULL DEFAULT 0 CHECK (failures BETWEEN 0 AND max_attempts),
    crashes         INTEGER NOT NULL DEFAULT 0 CHECK (crashes BETWEEN 0 AND crash_budget),
    max_attempts    INTEGER NOT NULL CHECK (max_attempts > 0),
    crash_budget    INTEGER NOT NULL CHECK (crash_budget > 0),
    quarantined     INTEGER NOT NULL DEFAULT 0 CHECK (quarantined IN (0, 1)),
    canary          INTEGER NOT NULL DEFAULT 0 CHECK (canary IN (0, 1)),
    redrives        INTEGER NOT NULL DEFAULT 0,
    worker_id       TEXT,
    customer_id     TEXT,
    package         TEXT,
    quota           INTEGER CHECK (quota > 0),
    shortfall       INTEGER CHECK (shortfall >= 0),
    value_cents     INTEGER NOT NULL DEFAULT 0 CHECK (value_cents >= 0),
    payload         TEXT    NOT NULL CHECK (json_valid(payload)),
    idempotency_key TEXT,
    created_at      INTEGER NOT NULL,
    claimed_at      INTEGER,
    progress_at     INTEGER,
    finished_at     INTEGER,
    cause           TEXT,
    class           TEXT,
    signature       TEXT,
    CONSTRAINT jobs_owned CHECK (state <> 'in_progress' OR (worker_id IS NOT NULL AND fence > 0 AND attempt > 0)),
    CONSTRAINT jobs_finished CHECK ((finished_at IS NOT NULL) = (state IN ('completed', 'failed', 'cancelled')))
) STRICT;

-- Claim walks it from the front, one range for each priority. An entry leaves the
-- index with the state that put it there, so no claim walks over finished work;
-- kind and customer let it pass over others' and paused jobs without their rows.
CREATE INDEX jobs_for_claim ON jobs (priority, due_at, id, kind, customer_id) WHERE state = 'pending' AND NOT quarantined;
CREATE INDEX jobs_quarantined ON jobs (due_at, id) WHERE state = 'pending' AND quarantined;
-- Recovery and the beat look for the jobs of an owner.
CREATE INDEX jobs_for_recovery ON jobs (worker_id) WHERE state = 'in_progress';
CREATE INDEX jobs_failed ON jobs (id) WHERE state = 'failed';
CREATE INDEX jobs_of_customer ON jobs (customer_id, id) WHERE customer_id IS NOT NULL;
CREATE UNIQUE INDEX jobs_idempotency ON jobs (idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE workers (
    id            TEXT    NOT NULL PRIMARY KEY,
    host          TEXT    NOT NULL,
    pid           INTEGER NOT NULL,
    version       TEXT    NOT NULL,
    kinds         TEXT    NOT NULL CHECK (json_type(kinds) = 'array'),
    capacity      INTEGER NOT NULL CHECK (capacity > 0),
    started_at    INTEGER NOT NULL,
    beat_at       INTEGER NOT NULL,
    lease_until   INTEGER NOT NULL,
    retired_at    INTEGER,
    retired_cause TEXT,
    CONSTRAINT workers_retired CHECK ((retired_at IS NULL) = (retired_cause IS NULL))
) STRICT;

CREATE INDEX workers_live ON workers (id) WHERE retired_at IS NULL;

-- Append-only: nothing here changes or deletes but retention.
CREATE TABLE events (
    id          TEXT    NOT NULL PRIMARY KEY,
    at          INTEGER NOT NULL,
    type        TEXT    NOT NULL,
    v           INTEGER NOT NULL DEFAULT 1,
    job_id      TEXT,
    order_id    TEXT,
    customer_id TEXT,
    directory   TEXT,
    worker_id   TEXT,
    fence       INTEGER,
    actor       TEXT    NOT NULL,
    from_state  TEXT,
    to_state    TEXT,
    cause       TEXT,
    detail      TEXT    CHECK (json_valid(detail))
) STRICT;

CREATE INDEX events_of_job ON events (job_id, at, id) WHERE job_id IS NOT NULL;
CREATE INDEX events_by_time ON events (at);

CREATE TABLE outbox (
    id         TEXT    NOT NULL PRIMARY KEY,
    kind       TEXT    NOT NULL CHECK (kind IN ('hint', 'alert')),
    key        TEXT    NOT NULL,
    payload    TEXT    NOT NULL CHECK (json_valid(payload)),
    not_before INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    sent_at    INTEGER
) STRICT;

CREATE UNIQUE INDEX outbox_once ON outbox (kind, key) WHERE sent_at IS NULL;
CREATE INDEX outbox_due ON outbox (not_before) WHERE sent_at IS NULL;

CREATE TABLE pauses (
    scope  TEXT    NOT NULL PRIMARY KEY CHECK (scope = 'all' OR scope LIKE 'kind:%' OR scope LIKE 'customer:%'),
    at     INTEGER NOT NULL,
    actor  TEXT    NOT NULL,
    reason TEXT    NOT NULL
) STRICT;

-- What retention leaves of finished jobs: counts, no person. day is YYYY-MM-DD.
CREATE TABLE job_archive (
    day         TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    package     TEXT    NOT NULL DEFAULT '',
    state       TEXT    NOT NULL,
    canary      INTEGER NOT NULL CHECK (canary IN (0, 1)),
    jobs        INTEGER NOT NULL,
    value_cents INTEGER NOT NULL,
    PRIMARY KEY (day, kind, package, state, canary)
) STRICT;
