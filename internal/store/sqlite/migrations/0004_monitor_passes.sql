-- +goose Up
-- What the latest pass of each monitor came to, in each process: the proof that
-- somebody watches.

CREATE TABLE monitor_passes (
    monitor TEXT    NOT NULL CHECK (monitor <> ''),
    process TEXT    NOT NULL,
    host    TEXT    NOT NULL,
    pid     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    good_at INTEGER,
    took    INTEGER NOT NULL CHECK (took >= 0), -- microseconds
    error   TEXT,
    passes  INTEGER NOT NULL CHECK (passes > 0),
    failed  INTEGER NOT NULL CHECK (failed BETWEEN 0 AND passes),
    counts  TEXT    NOT NULL CHECK (json_valid(counts)),
    PRIMARY KEY (monitor, process)
) STRICT;
