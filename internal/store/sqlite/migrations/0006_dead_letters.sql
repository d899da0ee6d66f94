-- +goose Up
-- Dead letters, one for each death of a job and one for each message that the dead
-- letter queue held and no job explains; and the journal of what people did.

CREATE TABLE dead_letters (
    id          TEXT    NOT NULL PRIMARY KEY,
    job_id      TEXT,
    kind        TEXT,
    customer_id TEXT,
    value_cents INTEGER NOT NULL DEFAULT 0 CHECK (value_cents >= 0),
    canary      INTEGER NOT NULL DEFAULT 0 CHECK (canary IN (0, 1)),
    cause       TEXT    NOT NULL,
    class       TEXT    NOT NULL,
    signature   TEXT    NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    redrives    INTEGER NOT NULL DEFAULT 0,
    at          INTEGER NOT NULL,
    -- What became of it; NULL: nobody has decided.
    fate        TEXT    CHECK (fate IN ('redriven', 'redriven_done', 'redriven_failed_again', 'redriven_cancelled',
                                        'moved', 'purged', 'expired', 'stale')),
    actor       TEXT,
    reason      TEXT,
    redriven_at INTEGER,
    resolved_at INTEGER,
    told_at     INTEGER, -- people were told its fate
    -- Its message in the dead letter queue.
    copy_due_at INTEGER NOT NULL,
    copied_at   INTEGER,
    message_id  TEXT,
    body        BLOB,
    receives    INTEGER NOT NULL DEFAULT 0,
    sent_at     INTEGER,
    expires_at  INTEGER,
    warned_at   INTEGER, -- people were told that it is about to expire
    CONSTRAINT dead_letters_named CHECK (job_id IS NOT NULL OR message_id IS NOT NULL),
    CONSTRAINT dead_letters_resolved CHECK ((resolved_at IS NOT NULL) = (fate IS NOT NULL AND fate <> 'redriven'))
) STRICT;

-- A failed job has one open letter.
CREATE UNIQUE INDEX dead_letters_once ON dead_letters (job_id) WHERE fate IS NULL AND job_id IS NOT NULL;
CREATE INDEX dead_letters_open ON dead_letters (id) WHERE fate IS NULL;
CREATE INDEX dead_letters_of_customer ON dead_letters (customer_id, id) WHERE fate IS NULL;
CREATE INDEX dead_letters_of_job ON dead_letters (job_id, redrives) WHERE job_id IS NOT NULL;
-- Those that keep their group open.
CREATE INDEX dead_letters_of_group ON dead_letters (signature, canary) WHERE fate IS NULL OR fate = 'redriven';
CREATE INDEX dead_letters_in_flight ON dead_letters (id) WHERE fate = 'redriven';
CREATE INDEX dead_letters_untold ON dead_letters (signature, canary) WHERE told_at IS NULL AND resolved_at IS NOT NULL;
CREATE INDEX dead_letters_to_copy ON dead_letters (copy_due_at) WHERE fate IS NULL AND copied_at IS NULL AND job_id IS NOT NULL;
CREATE INDEX dead_letters_expiring ON dead_letters (expires_at) WHERE fate IS NULL AND expires_at IS NOT NULL;
CREATE UNIQUE INDEX dead_letters_of_message ON dead_letters (message_id) WHERE job_id IS NULL;

-- What failed before this table was there. The ids are UUIDv7 of the moment of death.
INSERT INTO dead_letters (id, job_id, kind, customer_id, value_cents, canary, cause, class, signature, attempts, redrives,
    at, copy_due_at)
SELECT printf('%s-%s-7%s-8%s-%s', substr(printf('%012x', finished_at / 1000), 1, 8), substr(printf('%012x', finished_at / 1000), 9),
           substr(lower(hex(randomblob(2))), 1, 3), substr(lower(hex(randomblob(2))), 1, 3), lower(hex(randomblob(6)))),
       id, kind, customer_id, value_cents, canary, coalesce(cause, ''), coalesce(class, ''), coalesce(signature, ''),
       attempt, redrives, finished_at, finished_at
  FROM jobs
 WHERE state = 'failed';

-- Append-only: nothing here changes or deletes.
CREATE TABLE journal (
    id          TEXT    NOT NULL PRIMARY KEY,
    at          INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    act         TEXT    NOT NULL CHECK (act <> ''),
    count       INTEGER NOT NULL,
    value_cents INTEGER NOT NULL,
    job_ids     TEXT    NOT NULL CHECK (json_type(job_ids) = 'array')
) STRICT;
