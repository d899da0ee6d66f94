-- Statements on rollups: sums by the minute, later by the hour.

-- name: AddFacts
INSERT INTO rollups (name, at, span, labels, value)
VALUES (?, ?, 60, ?, ?)
    ON CONFLICT (name, at, span, labels)
    DO UPDATE SET value = value + excluded.value;

-- name: ListRollups
SELECT name, labels, at, span, value
  FROM rollups
 WHERE name = ?1 AND at >= ?2 AND at < ?3
 ORDER BY at, labels, span;

-- name: FoldRollups
-- Minutes before ?1 become part of their hours. An hour is folded whole: what is added
-- to it once more, late, is folded by the next pass.
INSERT INTO rollups (name, at, span, labels, value)
SELECT name, at - at % 3600000000, 3600, labels, sum(value)
  FROM rollups INDEXED BY rollups_minutes
 WHERE span = 60 AND at < ?1
 GROUP BY 1, 2, 4
    ON CONFLICT (name, at, span, labels)
    DO UPDATE SET value = value + excluded.value;

-- name: DropFolded
DELETE FROM rollups WHERE span = 60 AND at < ?1;

-- name: PruneRollups
DELETE FROM rollups WHERE at < ?1 AND span = 3600;
