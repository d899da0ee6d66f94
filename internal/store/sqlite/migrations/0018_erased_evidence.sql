-- +goose Up
-- Blobs that outcomes of erased customers referred to. Each process that keeps evidence on
-- a disk of its own learns here what to remove, also one that was off for a while.
CREATE TABLE erased_evidence (
    at     INTEGER NOT NULL,
    sha256 TEXT    NOT NULL,
    PRIMARY KEY (at, sha256) -- the order in which it is read
) STRICT, WITHOUT ROWID;
