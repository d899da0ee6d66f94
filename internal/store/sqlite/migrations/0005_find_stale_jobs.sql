-- +goose Up
-- For people with an SQL shell: running jobs that are stuck, as the stale monitor
-- sees them with its default threshold of 10 minutes (the statement StaleJobs), those
-- that wait longest first. Times are microseconds; SQLite has no function to choose
-- another threshold with: `directorybolt stale list` does that.

CREATE VIEW stale_jobs AS
SELECT job_id, kind, customer_id,
       CASE cause WHEN 'lease_expired' THEN 'liveness' WHEN 'lock_lost' THEN 'death_watch'
                  WHEN 'no_progress' THEN 'progress' ELSE 'orphan' END AS detector,
       cause, since, fence, crashes, crash_budget, value_cents, canary, worker_id, host, pid, beat_at, claimed_at, progress_at
  FROM (SELECT j.id AS job_id, j.kind, j.customer_id, j.fence, j.crashes, j.crash_budget, j.value_cents, j.canary, j.worker_id,
               w.host, w.pid, w.beat_at, j.claimed_at, j.progress_at,
               CASE
                   WHEN w.id IS NULL THEN 'no_owner'
                   WHEN w.retired_at IS NOT NULL THEN w.retired_cause
                   WHEN w.lease_until <= now.at THEN 'lease_expired'
                   WHEN j.progress_at <= now.at - 600000000 THEN 'no_progress'
               END AS cause,
               CASE
                   WHEN w.id IS NULL THEN j.claimed_at
                   WHEN w.retired_at IS NOT NULL THEN w.retired_at
                   WHEN w.lease_until <= now.at THEN w.lease_until
                   ELSE j.progress_at
               END AS since
          FROM (SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER) AS at) AS now
         CROSS JOIN jobs AS j
          LEFT JOIN workers AS w ON w.id = j.worker_id
         WHERE j.state = 'in_progress') AS running
 WHERE cause IS NOT NULL
 ORDER BY since, job_id;
