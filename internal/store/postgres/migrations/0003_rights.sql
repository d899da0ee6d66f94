-- +goose Up
-- Row-level security on every table, and rights revoked from everybody and from
-- the roles that Supabase exposes through its REST layer. A role that does not
-- exist is passed over. The owner, which this binary connects as, is not affected.

ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE workers ENABLE ROW LEVEL SECURITY;
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE pauses ENABLE ROW LEVEL SECURITY;
ALTER TABLE job_archive ENABLE ROW LEVEL SECURITY;
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
ALTER TABLE submissions ENABLE ROW LEVEL SECURITY;
ALTER TABLE pacing ENABLE ROW LEVEL SECURITY;
ALTER TABLE goose_db_version ENABLE ROW LEVEL SECURITY;

REVOKE ALL ON jobs, workers, events, outbox, pauses, job_archive, customers, submissions, pacing, goose_db_version FROM PUBLIC;
REVOKE ALL ON FUNCTION directorybolt_uuid7() FROM PUBLIC;

-- +goose StatementBegin
DO $$
DECLARE
    exposed name;
BEGIN
    -- Named one by one: Supabase grants new tables to these roles by default
    -- privileges, which a REVOKE FROM PUBLIC does not touch.
    FOR exposed IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON jobs, workers, events, outbox, pauses, job_archive, customers, submissions, '
            'pacing, goose_db_version FROM %I', exposed);
        EXECUTE format('REVOKE ALL ON FUNCTION directorybolt_uuid7() FROM %I', exposed);
    END LOOP;

    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
        REVOKE ALL ON jobs, workers, events, outbox, pauses, job_archive, customers, submissions, pacing, goose_db_version
            FROM service_role;
        GRANT SELECT, INSERT, UPDATE, DELETE ON jobs, workers, outbox, pauses, job_archive, customers, submissions, pacing
            TO service_role;
        -- History is append-only.
        GRANT SELECT, INSERT ON events TO service_role;
        GRANT SELECT ON goose_db_version TO service_role;
        GRANT EXECUTE ON FUNCTION directorybolt_uuid7() TO service_role;
    END IF;
END
$$;
-- +goose StatementEnd
