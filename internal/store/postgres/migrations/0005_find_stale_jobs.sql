-- +goose Up
-- For people with an SQL editor: running jobs that are stuck, as the stale monitor
-- sees them (the statement StaleJobs), those that wait longest first.

CREATE FUNCTION find_stale_jobs(threshold_minutes integer DEFAULT 10)
RETURNS TABLE (
    job_id uuid, kind text, customer_id uuid, detector text, cause text, since timestamptz, fence bigint,
    crashes integer, crash_budget integer, value_cents bigint, canary boolean,
    worker_id uuid, host text, pid integer, beat_at timestamptz, claimed_at timestamptz, progress_at timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT j.id, j.kind, j.customer_id,
           CASE why.cause WHEN 'lease_expired' THEN 'liveness' WHEN 'lock_lost' THEN 'death_watch'
                          WHEN 'no_progress' THEN 'progress' ELSE 'orphan' END,
           why.cause, why.since, j.fence, j.crashes, j.crash_budget, j.value_cents, j.canary,
           j.worker_id, w.host, w.pid, w.beat_at, j.claimed_at, j.progress_at
      FROM jobs j
      LEFT JOIN workers w ON w.id = j.worker_id
     CROSS JOIN LATERAL (
        SELECT CASE
                   WHEN w.id IS NULL THEN 'no_owner'
                   WHEN w.retired_at IS NOT NULL THEN w.retired_cause
                   WHEN w.lease_until <= statement_timestamp() THEN 'lease_expired'
                   WHEN j.progress_at <= statement_timestamp() - make_interval(mins => threshold_minutes) THEN 'no_progress'
               END AS cause,
               CASE
                   WHEN w.id IS NULL THEN j.claimed_at
                   WHEN w.retired_at IS NOT NULL THEN w.retired_at
                   WHEN w.lease_until <= statement_timestamp() THEN w.lease_until
                   ELSE j.progress_at
               END AS since
     ) AS why
     WHERE j.state = 'in_progress' AND why.cause IS NOT NULL
     ORDER BY why.since, j.id
$$;

CREATE VIEW stale_jobs WITH (security_invoker = true) AS
SELECT * FROM find_stale_jobs();

REVOKE ALL ON FUNCTION find_stale_jobs(integer) FROM PUBLIC;
REVOKE ALL ON stale_jobs FROM PUBLIC;

-- +goose StatementBegin
DO $$
DECLARE
    exposed name;
BEGIN
    FOR exposed IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION find_stale_jobs(integer) FROM %I', exposed);
        EXECUTE format('REVOKE ALL ON stale_jobs FROM %I', exposed);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
        REVOKE ALL ON stale_jobs FROM service_role;
        GRANT SELECT ON stale_jobs TO service_role;
        GRANT EXECUTE ON FUNCTION find_stale_jobs(integer) TO service_role;
    END IF;
END
$$;
-- +goose StatementEnd
