-- +goose Up
-- What people must know of, what is said to them about it, and on which channel.

CREATE TABLE alerts (
    id          uuid        PRIMARY KEY,
    kind        text        NOT NULL CHECK (kind <> ''),
    group_name  text        NOT NULL,
    severity    text        NOT NULL CHECK (severity IN ('page', 'warn', 'info')),
    state       text        NOT NULL CHECK (state IN ('open', 'acked', 'silenced', 'resolved')),
    canary      boolean     NOT NULL,
    first_at    timestamptz NOT NULL,
    last_at     timestamptz NOT NULL,
    count       bigint      NOT NULL CHECK (count > 0),
    value_cents bigint      NOT NULL CHECK (value_cents >= 0),
    sample      jsonb       NOT NULL,
    lane        text        NOT NULL,
    say_at      timestamptz,
    detail      jsonb       NOT NULL,
    CONSTRAINT alerts_span CHECK (first_at <= last_at)
);

-- A trouble that is not over is one alert, whoever hears of it first.
CREATE UNIQUE INDEX alerts_once ON alerts (group_name) WHERE state <> 'resolved';
CREATE INDEX alerts_of_group ON alerts (group_name, id);
CREATE INDEX alerts_to_say ON alerts (say_at) WHERE say_at IS NOT NULL;
CREATE INDEX alerts_unresolved ON alerts (kind) WHERE state <> 'resolved';
CREATE INDEX alerts_by_time ON alerts (last_at, id);

-- One message for one channel. seq is the order in which they were decided on.
CREATE TABLE deliveries (
    seq        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         uuid        NOT NULL UNIQUE,
    channel    text        NOT NULL CHECK (channel <> ''),
    alert_id   uuid,
    topic      text        NOT NULL,
    lane       text        NOT NULL,
    reason     text        NOT NULL,
    message    jsonb       NOT NULL,
    due_at     timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    next_at    timestamptz NOT NULL,
    attempts   integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    refusals   integer     NOT NULL DEFAULT 0 CHECK (refusals BETWEEN 0 AND attempts),
    doubt_at   timestamptz,
    sent_at    timestamptz,
    parked_at  timestamptz,
    error      text
);

CREATE INDEX deliveries_unsent ON deliveries (channel, next_at, seq) WHERE sent_at IS NULL;
CREATE INDEX deliveries_of_lane ON deliveries (lane, channel, seq) WHERE sent_at IS NULL;
CREATE INDEX deliveries_of_topic ON deliveries (topic, created_at);
CREATE INDEX deliveries_sent ON deliveries (sent_at) WHERE sent_at IS NOT NULL;

-- What is remembered of a channel, for all processes.
CREATE TABLE alert_channels (
    name          text        PRIMARY KEY,
    target        text        NOT NULL,
    next_at       timestamptz,
    failures      integer     NOT NULL CHECK (failures >= 0),
    failing_since timestamptz,
    held_at       timestamptz,
    error         text,
    good_at       timestamptz,
    told          boolean     NOT NULL
) WITH (fillfactor = 50);

-- Hints and alerts have takers of their own, and alerts are read in order.
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (kind, not_before) WHERE sent_at IS NULL;
CREATE INDEX outbox_notices ON outbox (created_at, id) WHERE kind = 'alert' AND sent_at IS NULL;

ALTER TABLE alerts ENABLE ROW LEVEL SECURITY;
ALTER TABLE deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE alert_channels ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON alerts, deliveries, alert_channels FROM PUBLIC;

-- +goose StatementBegin
DO $$
DECLARE
    exposed name;
BEGIN
    FOR exposed IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON alerts, deliveries, alert_channels FROM %I', exposed);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
        REVOKE ALL ON alerts, deliveries, alert_channels FROM service_role;
        GRANT SELECT, INSERT, UPDATE, DELETE ON alerts, deliveries, alert_channels TO service_role;
    END IF;
END
$$;
-- +goose StatementEnd
