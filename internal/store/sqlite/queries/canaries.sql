-- Statements on the witness of canaries. It knows no lease and no fence: it stands
-- for the outside world, and takes in what it is sent.

-- name: Arrive
-- A request carries its own end, as a socket's deadline is the end of a post: one
-- that was held up on the way must not arrive after somebody has looked for it.
INSERT INTO canary_arrivals (id, order_id, directory, fence, worker_id, at)
SELECT ?1, ?2, ?3, ?4, ?5, ?6
 WHERE ?6 < ?7;

-- name: ListArrivals
SELECT order_id, directory, fence, worker_id, at
  FROM canary_arrivals
 WHERE order_id = ?1
 ORDER BY at, id;

-- name: PruneArrivals
DELETE FROM canary_arrivals WHERE at < ?1;
