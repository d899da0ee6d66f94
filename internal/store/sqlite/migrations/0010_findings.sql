-- +goose Up
-- What monitors found wrong and told people of, so that any number of them, and
-- one that starts anew, tell it once; and whose turn it is to look.

CREATE TABLE findings (
    kind        TEXT    NOT NULL CHECK (kind <> ''),
    subject     TEXT    NOT NULL,
    cause       TEXT    NOT NULL,
    mark        TEXT    NOT NULL,
    since       INTEGER NOT NULL,
    count       INTEGER NOT NULL CHECK (count > 0),
    value_cents INTEGER NOT NULL,
    job_id      TEXT,
    order_id    TEXT,
    customer_id TEXT,
    directory   TEXT,
    worker_id   TEXT,
    first_at    INTEGER NOT NULL,
    told_at     INTEGER,
    PRIMARY KEY (kind, subject)
) STRICT;

CREATE TABLE turns (
    name TEXT    NOT NULL PRIMARY KEY,
    at   INTEGER NOT NULL
) STRICT;

-- Intents without an outcome: those whose order is over are nobody's.
CREATE INDEX submissions_undecided ON submissions (effect_deadline) WHERE state = 'submitting';

-- How often a monitor looks, and that it left in order: silence is told from both.
ALTER TABLE monitor_passes ADD COLUMN every INTEGER NOT NULL DEFAULT 0; -- microseconds
ALTER TABLE monitor_passes ADD COLUMN left_at INTEGER;
