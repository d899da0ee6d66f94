-- Statements on rollups: sums by the minute, later by the hour.

-- name: AddFacts
-- $4 is how long ago each fact happened, in microseconds. Ordered, so that two that add
-- to the same sums wait for each other in one direction only.
INSERT INTO rollups AS r (name, at, span, labels, value)
SELECT fact.name, date_trunc('minute', now.at - fact.ago * interval '1 microsecond'), 60, fact.labels, sum(fact.value)
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS fact (name, labels, value, ago)
 CROSS JOIN (SELECT clock_timestamp() AS at OFFSET 0) AS now
 GROUP BY 1, 2, 4
 ORDER BY 1, 2, 4
    ON CONFLICT (name, at, span, labels)
    DO UPDATE SET value = r.value + excluded.value;

-- name: ListRollups
SELECT name, labels, at, span, value
  FROM rollups
 WHERE name = $1 AND at >= $2 AND at < $3
 ORDER BY at, labels, span;

-- name: FoldRollups
-- Minutes before $1 become part of their hours, $2 rows at a time. SKIP LOCKED: two
-- passes share the work, and each minute is folded by the one that deletes it.
WITH old AS MATERIALIZED (
    SELECT name, at, span, labels
      FROM rollups
     WHERE span = 60 AND at < $1::timestamptz
     ORDER BY at
     LIMIT $2
       FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM rollups r
     USING old
     WHERE r.name = old.name AND r.at = old.at AND r.span = old.span AND r.labels = old.labels
    RETURNING r.name, r.at, r.labels, r.value
),
kept AS (
    INSERT INTO rollups AS r (name, at, span, labels, value)
    SELECT name, date_trunc('hour', at), 3600, labels, sum(value)
      FROM gone
     GROUP BY 1, 2, 4
     ORDER BY 1, 2, 4
        ON CONFLICT (name, at, span, labels)
        DO UPDATE SET value = r.value + excluded.value
)
SELECT count(*)
  FROM gone;

-- name: PruneRollups
DELETE FROM rollups
 WHERE at < $1::timestamptz AND span = 3600;
