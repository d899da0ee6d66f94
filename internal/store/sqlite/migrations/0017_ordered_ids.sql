-- +goose Up
-- Nothing to do here: the ids of a SQLite file are made by the program, in order. The
-- number is kept so that both dialects count alike.
SELECT 1;
