-- Statements on dead letters. ?1 is the moment where one is needed, unless told.

-- name: AddLetter
INSERT INTO dead_letters (id, job_id, kind, customer_id, value_cents, canary, cause, class, signature, attempts, redrives,
    at, copy_due_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12);

-- name: ListLetters
-- Newest first. A NULL filter selects all.
SELECT l.id, l.job_id, l.kind, l.customer_id, l.value_cents, l.canary, l.cause, l.class, l.signature, l.attempts, l.redrives,
    l.at, l.fate, l.actor, l.reason, l.redriven_at, l.resolved_at, l.message_id, l.body, l.receives, l.sent_at, l.expires_at,
    l.copied_at,
    (SELECT count(*) FROM submissions AS s WHERE s.order_id = l.job_id AND s.state IN ('submitted', 'live')),
    (SELECT count(*) FROM submissions AS s WHERE s.order_id = l.job_id AND s.state IN ('planned', 'submitting'))
  FROM dead_letters AS l
 WHERE (?1 OR l.fate IS NULL)
   AND (?2 IS NULL OR l.signature = ?2)
   AND (?3 IS NULL OR l.customer_id = ?3)
   AND (?4 IS NULL OR l.kind = ?4)
   AND (?5 IS NULL OR l.job_id = ?5)
   AND (?6 IS NULL OR l.at >= ?6)
   AND (?7 IS NULL OR l.at < ?7)
   AND (?8 IS NULL OR l.redrives < ?8)
   AND (?9 OR NOT l.canary)
   AND (?10 IS NULL OR l.id < ?10)
 ORDER BY l.id DESC
 LIMIT ?11;

-- name: GetLetter
-- By its own id, or the latest of a job.
SELECT l.id, l.job_id, l.kind, l.customer_id, l.value_cents, l.canary, l.cause, l.class, l.signature, l.attempts, l.redrives,
    l.at, l.fate, l.actor, l.reason, l.redriven_at, l.resolved_at, l.message_id, l.body, l.receives, l.sent_at, l.expires_at,
    l.copied_at,
    (SELECT count(*) FROM submissions AS s WHERE s.order_id = l.job_id AND s.state IN ('submitted', 'live')),
    (SELECT count(*) FROM submissions AS s WHERE s.order_id = l.job_id AND s.state IN ('planned', 'submitting'))
  FROM dead_letters AS l
 WHERE l.id = ?1 OR l.job_id = ?1
 ORDER BY l.redrives DESC
 LIMIT 1;

-- name: CountLetters
SELECT count(*) FILTER (WHERE fate IS NULL AND NOT canary),
       count(*) FILTER (WHERE fate IS NULL AND canary),
       count(*) FILTER (WHERE fate IS NULL AND job_id IS NULL),
       count(*) FILTER (WHERE fate = 'redriven'),
       coalesce(sum(value_cents) FILTER (WHERE fate IS NULL AND NOT canary), 0),
       count(DISTINCT customer_id) FILTER (WHERE fate IS NULL AND NOT canary),
       min(at) FILTER (WHERE fate IS NULL AND NOT canary),
       max(at) FILTER (WHERE fate IS NULL AND NOT canary)
  FROM dead_letters
 WHERE fate IS NULL OR fate = 'redriven';

-- name: GroupLetters
SELECT signature, count(*), coalesce(sum(value_cents), 0), count(DISTINCT customer_id), min(at), max(at),
       json_group_array(job_id ORDER BY id DESC) ->> 0
  FROM dead_letters
 WHERE (?1 OR fate IS NULL)
   AND (?2 IS NULL OR signature = ?2)
   AND (?3 IS NULL OR customer_id = ?3)
   AND (?4 IS NULL OR kind = ?4)
   AND (?5 IS NULL OR job_id = ?5)
   AND (?6 IS NULL OR at >= ?6)
   AND (?7 IS NULL OR at < ?7)
   AND (?8 IS NULL OR redrives < ?8)
   AND (?9 OR NOT canary)
 GROUP BY signature
 ORDER BY 2 DESC, 5, 1;

-- name: LetterOfErased
SELECT EXISTS (SELECT 1
                 FROM dead_letters AS l
                 JOIN customers AS c ON c.id = l.customer_id
                WHERE l.id IN (SELECT value FROM json_each(?1)) AND l.job_id IS NOT NULL AND c.erased_at IS NOT NULL);

-- name: DecidableLetter
-- The job of an erased customer has nothing left to do.
SELECT job_id
  FROM dead_letters
 WHERE id = ?1 AND job_id IS NOT NULL AND (fate IS NULL OR fate = 'purged')
   AND NOT EXISTS (SELECT 1 FROM customers AS c WHERE c.id = dead_letters.customer_id AND c.erased_at IS NOT NULL);

-- name: RedriveLetters
UPDATE dead_letters
   SET fate = 'redriven', redriven_at = ?1, resolved_at = NULL, told_at = NULL, actor = ?3, reason = ?4
 WHERE id = ?2 AND (fate IS NULL OR fate = 'purged');

-- name: RedriveOutcomes
-- The row of a job keeps its last failure through a redrive; that it is a new one,
-- the budgets say. A job that was redriven again has left another letter.
SELECT l.id, j.state, CASE
           WHEN j.redrives > l.redrives + 1 THEN (SELECT n.signature
                                                    FROM dead_letters AS n
                                                   WHERE n.job_id = l.job_id AND n.redrives = l.redrives + 1)
           WHEN j.redrives = l.redrives + 1 AND j.failures + j.crashes > 0 THEN j.signature
       END
  FROM dead_letters AS l
  JOIN jobs AS j ON j.id = l.job_id
 WHERE l.id IN (SELECT value FROM json_each(?1));

-- name: ResolveLetters
-- A purged message loses its body, and a purged letter of a job keeps the job, which
-- stays failed.
UPDATE dead_letters
   SET fate = ?3, resolved_at = ?1, actor = ?4, reason = ?5, body = CASE WHEN ?3 <> 'purged' THEN body END
 WHERE id IN (SELECT value FROM json_each(?2)) AND fate IS NULL
RETURNING id, job_id, kind, customer_id, value_cents, canary, cause, class, signature, attempts, redrives,
    at, fate, actor, reason, redriven_at, resolved_at, message_id, body, receives, sent_at, expires_at, copied_at, 0, 0;

-- name: UnsettledLetters
-- Whether SettleLetters or StaleLetters would find something.
SELECT EXISTS (
    SELECT 1
      FROM dead_letters AS l
      JOIN jobs AS j ON j.id = l.job_id
     WHERE l.fate = 'redriven' AND (j.state IN ('completed', 'cancelled', 'failed') OR j.redrives > l.redrives + 1))
    OR EXISTS (
    SELECT 1
      FROM dead_letters AS l
      JOIN jobs AS j ON j.id = l.job_id
     WHERE l.fate IS NULL AND j.state <> 'failed');

-- name: SettleLetters
-- A job that died again has a letter with one redrive more.
UPDATE dead_letters AS l
   SET resolved_at = ?1, fate = CASE
           WHEN j.redrives > l.redrives + 1 OR j.state = 'failed' THEN 'redriven_failed_again'
           WHEN j.state = 'completed' THEN 'redriven_done'
           ELSE 'redriven_cancelled'
       END
  FROM jobs AS j
 WHERE l.fate = 'redriven' AND j.id = l.job_id
   AND (j.state IN ('completed', 'cancelled', 'failed') OR j.redrives > l.redrives + 1);

-- name: StaleLetters
-- A person took the job out of failed by another way.
UPDATE dead_letters AS l
   SET resolved_at = ?1, fate = 'stale'
  FROM jobs AS j
 WHERE l.fate IS NULL AND j.id = l.job_id AND j.state <> 'failed';

-- name: SignaturesInUse
-- Of letters about which something is still to be decided or told.
SELECT signature FROM dead_letters WHERE fate IS NULL OR fate = 'redriven'
 UNION
SELECT signature FROM dead_letters WHERE told_at IS NULL AND resolved_at IS NOT NULL;

-- name: RenameOpenLetters
UPDATE dead_letters
   SET signature = ?2
 WHERE id IN (SELECT id FROM dead_letters WHERE signature = ?1 AND (fate IS NULL OR fate = 'redriven') LIMIT ?3);

-- name: RenameUntoldLetters
UPDATE dead_letters
   SET signature = ?2
 WHERE id IN (SELECT id FROM dead_letters WHERE signature = ?1 AND told_at IS NULL AND resolved_at IS NOT NULL LIMIT ?3);

-- name: ClosedGroups
SELECT d.signature, d.canary, d.fate, count(*), coalesce(sum(d.value_cents), 0), max(d.resolved_at),
       json_group_array(d.job_id) FILTER (WHERE d.job_id IS NOT NULL)
  FROM dead_letters AS d
 WHERE d.told_at IS NULL AND d.resolved_at IS NOT NULL
   AND NOT EXISTS (SELECT 1
                     FROM dead_letters AS o
                    WHERE (o.fate IS NULL OR o.fate = 'redriven') AND o.signature = d.signature AND o.canary = d.canary)
 GROUP BY d.signature, d.canary, d.fate
 ORDER BY d.signature, d.canary, d.fate;

-- name: CloseGroup
UPDATE dead_letters
   SET told_at = ?1
 WHERE told_at IS NULL AND resolved_at IS NOT NULL AND signature = ?2 AND canary = ?3 AND resolved_at <= ?4
   AND NOT EXISTS (SELECT 1
                     FROM dead_letters AS o
                    WHERE (o.fate IS NULL OR o.fate = 'redriven') AND o.signature = ?2 AND o.canary = ?3);

-- name: TakeLetters
UPDATE dead_letters
   SET copy_due_at = ?2
 WHERE id IN (SELECT id
                FROM dead_letters
               WHERE fate IS NULL AND copied_at IS NULL AND job_id IS NOT NULL AND copy_due_at <= ?1
               ORDER BY copy_due_at
               LIMIT ?3)
RETURNING id, job_id, kind, customer_id, value_cents, canary, cause, class, signature, attempts, redrives,
    at, fate, actor, reason, redriven_at, resolved_at, message_id, body, receives, sent_at, expires_at, copied_at, 0, 0;

-- name: MarkLettersCopied
UPDATE dead_letters
   SET copied_at = ?1
 WHERE id IN (SELECT value FROM json_each(?2)) AND copied_at IS NULL;

-- name: NoteSightings
UPDATE dead_letters
   SET message_id = ?3, receives = ?4, sent_at = ?5, expires_at = ?6, copied_at = coalesce(copied_at, ?1)
 WHERE job_id = ?2 AND fate IS NULL;

-- name: KnownMessage
SELECT fate FROM dead_letters WHERE message_id = ?1 AND job_id IS NULL;

-- name: KeepMessage
-- Another look notes the new count and expiry.
INSERT INTO dead_letters (id, cause, class, signature, at, copy_due_at, message_id, body, receives, sent_at, expires_at)
VALUES (?2, ?3, ?4, ?5, ?1, ?1, ?6, ?7, ?8, ?9, ?10)
    ON CONFLICT (message_id) WHERE job_id IS NULL
    DO UPDATE SET receives = excluded.receives, expires_at = excluded.expires_at;

-- name: ExpiringLetters
SELECT l.id, l.job_id, l.kind, l.customer_id, l.value_cents, l.canary, l.cause, l.class, l.signature, l.attempts, l.redrives,
    l.at, l.fate, l.actor, l.reason, l.redriven_at, l.resolved_at, l.message_id, l.body, l.receives, l.sent_at, l.expires_at,
    l.copied_at, 0, 0
  FROM dead_letters AS l
 WHERE l.fate IS NULL AND l.warned_at IS NULL AND l.expires_at <= ?1
 ORDER BY l.expires_at
 LIMIT ?2;

-- name: WarnExpiring
UPDATE dead_letters
   SET warned_at = ?1
 WHERE id IN (SELECT value FROM json_each(?2)) AND fate IS NULL AND warned_at IS NULL
RETURNING id, job_id, kind, customer_id, value_cents, canary, cause, class, signature, attempts, redrives,
    at, fate, actor, reason, redriven_at, resolved_at, message_id, body, receives, sent_at, expires_at, copied_at, 0, 0;

-- name: WarnedLetters
SELECT EXISTS (SELECT 1 FROM dead_letters WHERE warned_at IS NOT NULL);

-- name: CloseWarnings
UPDATE dead_letters
   SET warned_at = NULL
 WHERE warned_at IS NOT NULL AND (fate IS NOT NULL OR expires_at IS NULL OR expires_at > ?1);

-- name: ExpireLetters
-- Messages that name no job end here; the body is in the row.
UPDATE dead_letters
   SET fate = 'expired', resolved_at = ?1
 WHERE fate IS NULL AND job_id IS NULL AND expires_at <= ?1
RETURNING id, job_id, kind, customer_id, value_cents, canary, cause, class, signature, attempts, redrives,
    at, fate, actor, reason, redriven_at, resolved_at, message_id, body, receives, sent_at, expires_at, copied_at, 0, 0;

-- name: RenewCopies
-- The queue dropped the copy of a letter that is still open.
UPDATE dead_letters
   SET copied_at = NULL, message_id = NULL, sent_at = NULL, expires_at = NULL, copy_due_at = ?1
 WHERE fate IS NULL AND job_id IS NOT NULL AND expires_at <= ?1;

-- name: PruneLetters
DELETE FROM dead_letters
 WHERE rowid IN (SELECT rowid FROM dead_letters WHERE told_at < ?1 AND resolved_at < ?1 LIMIT ?2);

-- name: AddJournal
INSERT INTO journal (id, at, actor, reason, act, count, value_cents, job_ids, subject)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);

-- name: ListJournal
SELECT id, at, actor, reason, act, count, value_cents, job_ids, subject
  FROM journal
 WHERE ?1 IS NULL OR id < ?1
 ORDER BY id DESC
 LIMIT ?2;
