-- +goose Up
-- Times at which so many workers seemed dead at once that nobody believed it, and
-- the boot of the machine that each worker runs on.

ALTER TABLE workers ADD COLUMN boot TEXT NOT NULL DEFAULT '';

CREATE TABLE storms (
    id        TEXT    PRIMARY KEY,
    opened_at INTEGER NOT NULL,
    owners    INTEGER NOT NULL CHECK (owners > 0),
    dead      INTEGER NOT NULL CHECK (dead BETWEEN 1 AND owners),
    calm_at   INTEGER, -- since when there are few enough again
    closed_at INTEGER,
    ending    TEXT    CHECK (ending IN ('beats', 'proof', 'time_over')),
    CHECK ((closed_at IS NULL) = (ending IS NULL))
) STRICT, WITHOUT ROWID;

-- Two monitors that see a storm at once open one.
CREATE UNIQUE INDEX storms_one_open ON storms (closed_at IS NULL) WHERE closed_at IS NULL;
CREATE INDEX storms_by_time ON storms (opened_at);
