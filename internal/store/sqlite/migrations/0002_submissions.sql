-- +goose Up
-- Who buys, what becomes of each directory of an order, and whose turn it is at
-- each host.

CREATE TABLE customers (
    id         TEXT    NOT NULL PRIMARY KEY,
    email      TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    canary     INTEGER NOT NULL DEFAULT 0 CHECK (canary IN (0, 1)),
    created_at INTEGER NOT NULL,
    erased_at  INTEGER
) STRICT;

CREATE UNIQUE INDEX customers_email ON customers (lower(email)) WHERE erased_at IS NULL;

CREATE TABLE submissions (
    id              TEXT    NOT NULL PRIMARY KEY,
    order_id        TEXT    NOT NULL,
    customer_id     TEXT    NOT NULL,
    directory       TEXT    NOT NULL,
    rank            INTEGER NOT NULL CHECK (rank > 0),
    identity        TEXT    NOT NULL CHECK (identity <> ''),
    state           TEXT    NOT NULL DEFAULT 'planned'
                            CHECK (state IN ('planned', 'submitting', 'submitted', 'live', 'rejected',
                                             'failed', 'skipped', 'needs_action', 'uncertain')),
    fence           INTEGER NOT NULL DEFAULT 0,
    tries           INTEGER NOT NULL DEFAULT 0 CHECK (tries >= 0),
    due_at          INTEGER,
    intent_at       INTEGER,
    effect_deadline INTEGER,
    class           TEXT,
    reason          TEXT,
    need            TEXT,
    evidence        TEXT    CHECK (json_valid(evidence)),
    listing_url     TEXT,
    replaced        INTEGER NOT NULL DEFAULT 0 CHECK (replaced IN (0, 1)),
    canary          INTEGER NOT NULL DEFAULT 0 CHECK (canary IN (0, 1)),
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    live_at         INTEGER,
    CONSTRAINT submissions_intent CHECK (state <> 'submitting' OR (effect_deadline IS NOT NULL AND fence > 0 AND tries > 0)),
    CONSTRAINT submissions_evidence CHECK (state NOT IN ('submitted', 'live') OR evidence IS NOT NULL),
    CONSTRAINT submissions_need CHECK ((state = 'needs_action') = (need IS NOT NULL)),
    CONSTRAINT submissions_replaced CHECK (NOT replaced OR state IN ('failed', 'skipped'))
) STRICT;

CREATE UNIQUE INDEX submissions_of_order ON submissions (order_id, directory);
-- A directory gets a business at most once, across attempts, workers and orders.
CREATE UNIQUE INDEX submissions_once ON submissions (identity, directory)
    WHERE state IN ('submitting', 'submitted', 'live', 'needs_action', 'uncertain');
CREATE INDEX submissions_open_work ON submissions (id) WHERE state IN ('needs_action', 'uncertain');

-- Turns of each host and its circuit breaker, shared by all workers. day is
-- YYYY-MM-DD.
CREATE TABLE pacing (
    host       TEXT    NOT NULL PRIMARY KEY,
    next_at    INTEGER NOT NULL,
    day        TEXT    NOT NULL,
    day_count  INTEGER NOT NULL,
    failures   INTEGER NOT NULL DEFAULT 0,
    opens      INTEGER NOT NULL DEFAULT 0,
    open_until INTEGER
) STRICT;
