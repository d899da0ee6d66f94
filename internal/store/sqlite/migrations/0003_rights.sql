-- +goose Up
-- Nothing to do here: a SQLite file has no roles. Who may read or write it is the
-- file's own mode; the data directory is made for its owner alone. The number is
-- kept so that both dialects count alike.
SELECT 1;
