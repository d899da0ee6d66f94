-- +goose Up
-- Who buys, what becomes of each directory of an order, and whose turn it is at
-- each host.

CREATE TABLE customers (
    id         uuid        PRIMARY KEY,
    email      text        NOT NULL,
    name       text        NOT NULL,
    canary     boolean     NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    erased_at  timestamptz
);

CREATE UNIQUE INDEX customers_email ON customers (lower(email)) WHERE erased_at IS NULL;

CREATE TABLE submissions (
    id              uuid        PRIMARY KEY,
    order_id        uuid        NOT NULL,
    customer_id     uuid        NOT NULL,
    directory       text        NOT NULL,
    rank            integer     NOT NULL CHECK (rank > 0),
    identity        text        NOT NULL CHECK (identity <> ''),
    state           text        NOT NULL DEFAULT 'planned'
                                CHECK (state IN ('planned', 'submitting', 'submitted', 'live', 'rejected',
                                                 'failed', 'skipped', 'needs_action', 'uncertain')),
    fence           bigint      NOT NULL DEFAULT 0,
    tries           integer     NOT NULL DEFAULT 0 CHECK (tries >= 0),
    due_at          timestamptz,
    intent_at       timestamptz,
    effect_deadline timestamptz,
    class           text,
    reason          text,
    need            text,
    evidence        jsonb,
    listing_url     text,
    replaced        boolean     NOT NULL DEFAULT false,
    canary          boolean     NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    live_at         timestamptz,
    CONSTRAINT submissions_intent CHECK (state <> 'submitting' OR (effect_deadline IS NOT NULL AND fence > 0 AND tries > 0)),
    CONSTRAINT submissions_evidence CHECK (state NOT IN ('submitted', 'live') OR evidence IS NOT NULL),
    CONSTRAINT submissions_need CHECK ((state = 'needs_action') = (need IS NOT NULL)),
    CONSTRAINT submissions_replaced CHECK (NOT replaced OR state IN ('failed', 'skipped'))
);

CREATE UNIQUE INDEX submissions_of_order ON submissions (order_id, directory);
-- A directory gets a business at most once, across attempts, workers and orders.
CREATE UNIQUE INDEX submissions_once ON submissions (identity, directory)
    WHERE state IN ('submitting', 'submitted', 'live', 'needs_action', 'uncertain');
CREATE INDEX submissions_open_work ON submissions (id) WHERE state IN ('needs_action', 'uncertain');

-- Turns of each host and its circuit breaker, shared by all workers.
CREATE TABLE pacing (
    host       text        PRIMARY KEY,
    next_at    timestamptz NOT NULL,
    day        date        NOT NULL,
    day_count  integer     NOT NULL,
    failures   integer     NOT NULL DEFAULT 0,
    opens      integer     NOT NULL DEFAULT 0,
    open_until timestamptz
) WITH (fillfactor = 50);
