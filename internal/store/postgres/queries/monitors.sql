-- Statements on the passes of monitors.

-- name: RecordPass
INSERT INTO monitor_passes AS m (monitor, process, host, pid, at, good_at, took, error, passes, failed, counts, every)
SELECT $1, $2, $3, $4, now.at, CASE WHEN $6::text IS NULL THEN now.at END, $5, $6, $7, $8, $9, $10
  FROM (SELECT clock_timestamp() AS at OFFSET 0) AS now
    ON CONFLICT (monitor, process)
    DO UPDATE SET at = excluded.at, good_at = coalesce(excluded.good_at, m.good_at), took = excluded.took,
        error = excluded.error, passes = excluded.passes, failed = excluded.failed, counts = excluded.counts,
        every = excluded.every, left_at = NULL;

-- name: LeavePasses
UPDATE monitor_passes
   SET left_at = clock_timestamp()
 WHERE monitor = $1 AND process = $2;

-- name: ListPasses
SELECT monitor, process, host, pid, at, good_at, left_at, every, took, error, passes, failed, counts
  FROM monitor_passes
 ORDER BY at DESC, monitor, process;

-- name: PrunePasses
DELETE FROM monitor_passes
 WHERE (monitor, process) IN (SELECT monitor, process FROM monitor_passes WHERE at < $1::timestamptz LIMIT $2);
