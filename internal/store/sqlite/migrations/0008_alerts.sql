-- +goose Up
-- What people must know of, what is said to them about it, and on which channel.

CREATE TABLE alerts (
    id          TEXT    PRIMARY KEY,
    kind        TEXT    NOT NULL CHECK (kind <> ''),
    group_name  TEXT    NOT NULL,
    severity    TEXT    NOT NULL CHECK (severity IN ('page', 'warn', 'info')),
    state       TEXT    NOT NULL CHECK (state IN ('open', 'acked', 'silenced', 'resolved')),
    canary      INTEGER NOT NULL CHECK (canary IN (0, 1)),
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    count       INTEGER NOT NULL CHECK (count > 0),
    value_cents INTEGER NOT NULL CHECK (value_cents >= 0),
    sample      TEXT    NOT NULL CHECK (json_valid(sample)),
    lane        TEXT    NOT NULL,
    say_at      INTEGER,
    detail      TEXT    NOT NULL CHECK (json_valid(detail)),
    CONSTRAINT alerts_span CHECK (first_at <= last_at)
) STRICT;

-- A trouble that is not over is one alert, whoever hears of it first.
CREATE UNIQUE INDEX alerts_once ON alerts (group_name) WHERE state <> 'resolved';
CREATE INDEX alerts_of_group ON alerts (group_name, id);
CREATE INDEX alerts_to_say ON alerts (say_at) WHERE say_at IS NOT NULL;
CREATE INDEX alerts_unresolved ON alerts (kind) WHERE state <> 'resolved';
CREATE INDEX alerts_by_time ON alerts (last_at, id);

-- One message for one channel. seq is the order in which they were decided on.
CREATE TABLE deliveries (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    channel    TEXT    NOT NULL CHECK (channel <> ''),
    alert_id   TEXT,
    topic      TEXT    NOT NULL,
    lane       TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    message    TEXT    NOT NULL CHECK (json_valid(message)),
    due_at     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    refusals   INTEGER NOT NULL DEFAULT 0 CHECK (refusals BETWEEN 0 AND attempts),
    doubt_at   INTEGER,
    sent_at    INTEGER,
    parked_at  INTEGER,
    error      TEXT
) STRICT;

CREATE INDEX deliveries_unsent ON deliveries (channel, next_at, seq) WHERE sent_at IS NULL;
CREATE INDEX deliveries_of_lane ON deliveries (lane, channel, seq) WHERE sent_at IS NULL;
CREATE INDEX deliveries_of_topic ON deliveries (topic, created_at);
CREATE INDEX deliveries_sent ON deliveries (sent_at) WHERE sent_at IS NOT NULL;

-- What is remembered of a channel, for all processes.
CREATE TABLE alert_channels (
    name          TEXT    PRIMARY KEY,
    target        TEXT    NOT NULL,
    next_at       INTEGER,
    failures      INTEGER NOT NULL CHECK (failures >= 0),
    failing_since INTEGER,
    held_at       INTEGER,
    error         TEXT,
    good_at       INTEGER,
    told          INTEGER NOT NULL CHECK (told IN (0, 1))
) STRICT;

-- Hints and alerts have takers of their own, and alerts are read in order.
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (kind, not_before) WHERE sent_at IS NULL;
CREATE INDEX outbox_notices ON outbox (created_at, id) WHERE kind = 'alert' AND sent_at IS NULL;
