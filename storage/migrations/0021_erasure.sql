-- Deletion: of calls that are older than their organization keeps them, and on request.  Pauses of the recording.

-- Spans of the call's clock in which nothing was kept: JSON objects, in order.
ALTER TABLE calls ADD COLUMN recording_pauses json NOT NULL DEFAULT '[]';

-- Files, late reports and late readers outlive a call's row: for a while this says that they have none any more.
CREATE TABLE erased_calls (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid PRIMARY KEY,
    called_at timestamptz NOT NULL,
    -- Its files that are not named after it.
    paths text[] NOT NULL,
    -- Null: they may still be there.
    files_gone_at timestamptz,
    tried_at timestamptz,
    erased_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erased_calls_files ON erased_calls (tried_at NULLS FIRST) WHERE files_gone_at IS NULL;
CREATE INDEX erased_calls_age ON erased_calls (erased_at);
CALL hum.tenant_table('erased_calls');
REVOKE UPDATE, DELETE ON erased_calls FROM hum_app;

-- A deletion that takes several transactions, with its progress.
CREATE TABLE erasures (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    -- All that is older than the organization keeps it; or all of one contact's, whose number stands here until that is done.
    kind text NOT NULL CHECK (kind IN ('retention', 'contact')),
    contact_id uuid,
    phone_e164 text,
    calls bigint NOT NULL DEFAULT 0,
    events bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CHECK (phone_e164 IS NULL OR ended_at IS NULL)
);
CREATE UNIQUE INDEX erasures_retention ON erasures (org_id) WHERE kind = 'retention' AND ended_at IS NULL;
CREATE INDEX erasures_open ON erasures (org_id) WHERE ended_at IS NULL;
CREATE INDEX erasures_ended ON erasures (ended_at) WHERE ended_at IS NOT NULL;
CALL hum.tenant_table('erasures');

-- What the deleted calls were counted as: the roll-ups are this and a count of the calls that are there.
CREATE TABLE erased_call_rollups (LIKE call_rollups INCLUDING ALL);
ALTER TABLE erased_call_rollups ADD FOREIGN KEY (org_id) REFERENCES organizations ON DELETE CASCADE;
CALL hum.tenant_table('erased_call_rollups');
CREATE TABLE erased_latency_rollups (LIKE latency_rollups INCLUDING ALL);
ALTER TABLE erased_latency_rollups ADD FOREIGN KEY (org_id) REFERENCES organizations ON DELETE CASCADE;
CALL hum.tenant_table('erased_latency_rollups');

-- As in 0005; calls whose contact is deleted together with them are not indexed anew, but can't be found any more.
CREATE OR REPLACE FUNCTION hum.index_changed_call() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    org text := current_setting('hum.org_id', true);
BEGIN
    IF current_setting('hum.unlinking', true) = 'on' THEN
        DELETE FROM call_search WHERE call_id = NEW.id;
        RETURN NULL;
    END IF;
    PERFORM set_config('hum.org_id', NEW.org_id::text, true);
    PERFORM hum.index_call(NEW.id);
    PERFORM set_config('hum.org_id', coalesce(org, ''), true);
    RETURN NULL;
END
$$;

-- Events -----------------------------------------------------------------------------------------------------------

-- An event whose payload was deleted stays as a place: for readers' cursors, and for clients that go on after it.
ALTER TABLE events ALTER COLUMN data DROP NOT NULL;
DROP INDEX events_org;
CREATE INDEX events_org ON events (org_id, xid, id) WHERE data IS NOT NULL;
CREATE INDEX events_subject ON events (org_id, subject_id) WHERE data IS NOT NULL;
CREATE INDEX events_age ON events (org_id, created_at) WHERE data IS NOT NULL;

-- The application may not change events; it may take the payloads of its organization's.
CREATE POLICY door ON events TO hum_owner
    USING (org_id = (SELECT hum.org_id())) WITH CHECK (org_id = (SELECT hum.org_id()));
CREATE FUNCTION hum.empty_events(subjects uuid[]) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH emptied AS (
        UPDATE events SET data = NULL
         WHERE org_id = (SELECT hum.org_id()) AND subject_id = ANY (subjects) AND data IS NOT NULL
        RETURNING id),
    forgotten AS (DELETE FROM events_set_aside s USING emptied e WHERE s.event_id = e.id)
    SELECT count(*) FROM emptied
$$;
CREATE FUNCTION hum.empty_old_events(before timestamptz, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH old AS (
        SELECT id FROM events
         WHERE org_id = (SELECT hum.org_id()) AND created_at < before AND data IS NOT NULL
         ORDER BY created_at
         LIMIT most),
    emptied AS (UPDATE events e SET data = NULL FROM old WHERE e.id = old.id RETURNING e.id),
    forgotten AS (DELETE FROM events_set_aside s USING emptied e WHERE s.event_id = e.id)
    SELECT count(*) FROM emptied
$$;

-- Reports that were set aside know their call, if they name one; older ones are forgotten soon.
ALTER TABLE reports_set_aside ADD COLUMN call_id uuid;
CREATE INDEX reports_set_aside_call ON reports_set_aside (call_id) WHERE call_id IS NOT NULL;
CREATE FUNCTION hum.forget_reports(ids uuid[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    DELETE FROM reports_set_aside r USING calls c
     WHERE r.call_id = ANY (ids) AND c.id = r.call_id AND c.org_id = (SELECT hum.org_id())
$$;
REVOKE EXECUTE ON FUNCTION hum.empty_events(uuid[]), hum.empty_old_events(timestamptz, integer), hum.forget_reports(uuid[])
    FROM public;
GRANT EXECUTE ON FUNCTION hum.empty_events(uuid[]), hum.empty_old_events(timestamptz, integer), hum.forget_reports(uuid[])
    TO hum_app;
