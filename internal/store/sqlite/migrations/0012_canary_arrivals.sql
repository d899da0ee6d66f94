-- +goose Up
-- The witness of canaries: what arrived of each, as often as it arrived. No key
-- makes an arrival unique, so that whatever is done twice shows.

CREATE TABLE canary_arrivals (
    id        TEXT    NOT NULL PRIMARY KEY,
    order_id  TEXT    NOT NULL,
    directory TEXT    NOT NULL CHECK (directory <> ''),
    fence     INTEGER NOT NULL,
    worker_id TEXT    NOT NULL,
    at        INTEGER NOT NULL
) STRICT;

CREATE INDEX canary_arrivals_of_order ON canary_arrivals (order_id);
