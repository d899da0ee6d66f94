-- +goose Up
-- The monitor asks at each check which letters people were warned of.
CREATE INDEX dead_letters_warned ON dead_letters (id) WHERE warned_at IS NOT NULL;
