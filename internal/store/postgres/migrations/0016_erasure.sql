-- +goose Up
-- What erasure and retention do to the history, for roles that may not change it.

-- An erasure asks for the submissions of a customer, once for each business.
CREATE INDEX submissions_of_customer ON submissions (customer_id);

-- Takes what was said out of the events of an erased customer's jobs; the causes that
-- stay are words of ours. Answers the events.
-- +goose StatementBegin
CREATE FUNCTION directorybolt_erase_events(customer uuid) RETURNS SETOF uuid
LANGUAGE sql VOLATILE SECURITY DEFINER AS $$
    UPDATE events e
       SET cause = CASE WHEN e.type IN ('job.recovered', 'job.quarantined', 'job.released', 'shortfall', 'orphan.found', 'books.unbalanced')
                        THEN e.cause END,
           detail = e.detail - '{listing_url,rule,failed_with,reason,need,text}'::text[]
      FROM jobs j, customers c
     WHERE c.id = customer AND c.erased_at IS NOT NULL AND j.customer_id = c.id AND e.job_id = j.id
    RETURNING e.id
$$;
-- +goose StatementEnd

-- Deletes the events of jobs that are gone. Answers the events.
-- +goose StatementBegin
CREATE FUNCTION directorybolt_forget_events(gone uuid[]) RETURNS SETOF uuid
LANGUAGE sql VOLATILE SECURITY DEFINER AS $$
    DELETE FROM events e
     WHERE e.job_id = ANY (gone) AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = e.job_id)
    RETURNING e.id
$$;
-- +goose StatementEnd

-- Deletes old events that belong to no job, at most so many. Answers the events.
-- +goose StatementBegin
CREATE FUNCTION directorybolt_prune_events(before timestamptz, most integer) RETURNS SETOF uuid
LANGUAGE sql VOLATILE SECURITY DEFINER AS $$
    DELETE FROM events
     WHERE id IN (SELECT e.id FROM events e WHERE e.at < before AND e.job_id IS NULL ORDER BY e.at LIMIT most)
    RETURNING id
$$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
    schema name := (SELECT n.nspname FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace WHERE t.oid = 'events'::regclass);
    called regprocedure;
    exposed name;
BEGIN
    FOREACH called IN ARRAY ARRAY['directorybolt_erase_events(uuid)', 'directorybolt_forget_events(uuid[])',
                                  'directorybolt_prune_events(timestamptz, integer)']::regprocedure[] LOOP
        -- They run with the owner's rights: nothing of the caller's may stand before the
        -- tables, wherever these are. None of them asks for the time.
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp', called, schema);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', called);
        FOR exposed IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %I', called, exposed);
        END LOOP;
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO service_role', called);
        END IF;
    END LOOP;
END
$$;
-- +goose StatementEnd
