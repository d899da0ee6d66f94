-- +goose Up
-- The witness of canaries: what arrived of each, as often as it arrived. No key
-- makes an arrival unique, so that whatever is done twice shows.

CREATE TABLE canary_arrivals (
    id        uuid        PRIMARY KEY,
    order_id  uuid        NOT NULL,
    directory text        NOT NULL CHECK (directory <> ''),
    fence     bigint      NOT NULL,
    worker_id uuid        NOT NULL,
    at        timestamptz NOT NULL
);

CREATE INDEX canary_arrivals_of_order ON canary_arrivals (order_id);

ALTER TABLE canary_arrivals ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON canary_arrivals FROM PUBLIC;

-- +goose StatementBegin
DO $$
DECLARE
    exposed name;
BEGIN
    FOR exposed IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON canary_arrivals FROM %I', exposed);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
        REVOKE ALL ON canary_arrivals FROM service_role;
        GRANT SELECT, INSERT, DELETE ON canary_arrivals TO service_role;
    END IF;
END
$$;
-- +goose StatementEnd
