-- +goose Up
-- How the books are walked, and what recovery and redrives saved.

-- What was paid for, order by order.
CREATE INDEX events_of_orders ON events (job_id) WHERE type = 'order.created';
-- Few completed jobs had been lost before; the others are not fed to it.
CREATE INDEX jobs_protected ON jobs (finished_at) WHERE state = 'completed' AND (crashes > 0 OR redrives > 0);

ALTER TABLE job_archive ADD COLUMN recovered_jobs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job_archive ADD COLUMN recovered_cents INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job_archive ADD COLUMN redriven_jobs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job_archive ADD COLUMN redriven_cents INTEGER NOT NULL DEFAULT 0;
