-- Statements on deliveries and on the channels they go to.

-- name: AddDelivery
INSERT INTO deliveries (id, channel, alert_id, topic, lane, reason, message, due_at, created_at, next_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: DropWaiting
-- What waits in the lane, says the same with older numbers and was never tried.
WITH dropped AS (
    DELETE FROM deliveries
     WHERE channel = $1 AND lane = $2 AND reason = ANY ($3::text[]) AND sent_at IS NULL AND attempts = 0
    RETURNING due_at
)
SELECT min(due_at)
  FROM dropped;

-- name: RecentDeliveries
-- What was said of a topic: messages about one alert, on the channel that got most
-- of them, the latest digest of first sights, and the latest other digest.
SELECT coalesce((SELECT max(n)
                   FROM (SELECT count(*) AS n
                           FROM deliveries
                          WHERE topic = $1 AND created_at > $2::timestamptz AND alert_id IS NOT NULL
                            AND reason NOT IN ('acknowledged', 'resolved')
                          GROUP BY channel) AS singles), 0)::bigint,
       (SELECT max(created_at)
          FROM deliveries
         WHERE topic = $1 AND created_at > $2::timestamptz AND alert_id IS NULL AND reason = 'first'),
       (SELECT max(created_at)
          FROM deliveries
         WHERE topic = $1 AND created_at > $2::timestamptz AND alert_id IS NULL AND reason <> 'first');

-- name: LaneWaits
SELECT EXISTS (SELECT FROM deliveries WHERE lane = $1 AND sent_at IS NULL);

-- name: NextDelivery
-- The first that may be tried: none before it in its lane is unsent. One that failed
-- stands behind all that wait longer, so that it holds up its own lane alone.
SELECT id, channel, alert_id, topic, lane, message, due_at, created_at, next_at, attempts, refusals, doubt_at, sent_at, parked_at, error
  FROM deliveries d
 WHERE d.channel = $1 AND d.sent_at IS NULL AND d.next_at <= $2::timestamptz
   AND NOT EXISTS (SELECT
                     FROM deliveries b
                    WHERE b.channel = d.channel AND b.lane = d.lane AND b.sent_at IS NULL AND b.seq < d.seq)
 ORDER BY d.next_at, d.seq
 LIMIT 1;

-- name: SendableDelivery
-- Whether NextDelivery would find one, and the channel does not rest.
SELECT EXISTS (
    SELECT
      FROM deliveries d
     WHERE d.channel = $1 AND d.sent_at IS NULL AND d.next_at <= statement_timestamp()
       AND NOT EXISTS (SELECT
                         FROM deliveries b
                        WHERE b.channel = d.channel AND b.lane = d.lane AND b.sent_at IS NULL AND b.seq < d.seq))
   AND NOT EXISTS (SELECT FROM alert_channels WHERE name = $1 AND next_at > statement_timestamp());

-- name: GetDelivery
SELECT id, channel, alert_id, topic, lane, message, due_at, created_at, next_at, attempts, refusals, doubt_at, sent_at, parked_at, error
  FROM deliveries
 WHERE id = $1;

-- name: SaveDelivery
UPDATE deliveries
   SET next_at = $2, attempts = $3, refusals = $4, doubt_at = $5, sent_at = $6, parked_at = $7, error = $8
 WHERE id = $1;

-- name: DropParked
DELETE FROM deliveries
 WHERE parked_at IS NOT NULL AND sent_at IS NULL AND (alert_id = $1 OR channel = $2);

-- name: ListUndelivered
SELECT id, channel, alert_id, topic, lane, message, due_at, created_at, next_at, attempts, refusals, doubt_at, sent_at, parked_at, error
  FROM deliveries
 WHERE sent_at IS NULL
 ORDER BY seq
 LIMIT $1;

-- name: GetChannel
SELECT name, target, next_at, failures, failing_since, held_at, error, good_at, told
  FROM alert_channels
 WHERE name = $1;

-- name: SaveChannel
INSERT INTO alert_channels (name, target, next_at, failures, failing_since, held_at, error, good_at, told)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (name)
    DO UPDATE SET target = excluded.target, next_at = excluded.next_at, failures = excluded.failures,
        failing_since = excluded.failing_since, held_at = excluded.held_at, error = excluded.error,
        good_at = excluded.good_at, told = excluded.told;

-- name: ListBacklogs
SELECT c.name, c.target, c.next_at, c.failures, c.failing_since, c.held_at, c.error, c.good_at, c.told,
       count(d.id), min(d.due_at), count(d.parked_at)
  FROM alert_channels c
  LEFT JOIN deliveries d ON d.channel = c.name AND d.sent_at IS NULL
 GROUP BY c.name
 ORDER BY c.name;

-- name: PruneDeliveries
DELETE FROM deliveries
 WHERE seq IN (SELECT seq FROM deliveries WHERE sent_at < $1::timestamptz LIMIT $2);

-- name: AlertsDelivered
-- Sent in a time, of these later than $3 microseconds after they were due; and due in
-- that time, and waiting for longer than that.
SELECT count(*) FILTER (WHERE sent_at >= $1 AND sent_at < $2),
       count(*) FILTER (WHERE sent_at >= $1 AND sent_at < $2 AND sent_at > due_at + $3::bigint * interval '1 microsecond'),
       count(*) FILTER (WHERE sent_at IS NULL AND due_at < $2 AND due_at < statement_timestamp() - $3::bigint * interval '1 microsecond')
  FROM deliveries
 WHERE sent_at >= $1 AND sent_at < $2 OR sent_at IS NULL;
