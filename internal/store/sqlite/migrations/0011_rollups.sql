-- +goose Up
-- Facts by the minute, later by the hour, for reports of a year: how many passes,
-- beats, recoveries, jobs. Each row is a sum that grows.

CREATE TABLE rollups (
    name   TEXT    NOT NULL CHECK (name <> ''),
    at     INTEGER NOT NULL, -- begin of the minute or hour
    span   INTEGER NOT NULL CHECK (span IN (60, 3600)), -- seconds
    labels TEXT    NOT NULL,
    value  INTEGER NOT NULL,
    PRIMARY KEY (name, at, span, labels)
) STRICT, WITHOUT ROWID;

-- Retention folds minutes into hours, oldest first.
CREATE INDEX rollups_minutes ON rollups (at) WHERE span = 60;
