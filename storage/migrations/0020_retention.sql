-- Purges: of calls past their retention and on request.

-- Tombstones of purged calls: files, late reports and late readers may outlive the row. No reference to the
-- organization: files are still to be deleted after it is.
CREATE TABLE erased_calls (
    org_id uuid NOT NULL,
    call_id uuid PRIMARY KEY,
    called_at timestamptz NOT NULL,
    -- Files whose names do not contain the call's id.
    paths text[] NOT NULL,
    -- Null: they may still exist.
    files_gone_at timestamptz,
    tried_at timestamptz,
    erased_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erased_calls_files ON erased_calls (tried_at NULLS FIRST) WHERE files_gone_at IS NULL;
CREATE INDEX erased_calls_age ON erased_calls (erased_at);
CALL hum.tenant_table('erased_calls');
REVOKE UPDATE, DELETE ON erased_calls FROM hum_app;

-- A purge of several transactions, with its progress.
CREATE TABLE erasures (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    -- Everything past the organization's retention, or everything of one contact, whose number is stored until the
    -- purge has ended.
    kind text NOT NULL CHECK (kind IN ('retention', 'contact')),
    contact_id uuid,
    phone_e164 text,
    calls bigint NOT NULL DEFAULT 0,
    events bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    messages bigint NOT NULL DEFAULT 0,
    CHECK (phone_e164 IS NULL OR ended_at IS NULL)
);
CREATE UNIQUE INDEX erasures_retention ON erasures (org_id) WHERE kind = 'retention' AND ended_at IS NULL;
CREATE INDEX erasures_open ON erasures (org_id) WHERE ended_at IS NULL;
CREATE INDEX erasures_ended ON erasures (ended_at) WHERE ended_at IS NOT NULL;
CALL hum.tenant_table('erasures');

-- Roll-ups of purged calls: the roll-ups are the sum of these and a count of the calls that exist.
CREATE TABLE erased_call_rollups (
    LIKE call_rollups INCLUDING ALL,
    FOREIGN KEY (org_id) REFERENCES organizations ON DELETE CASCADE
);
CALL hum.tenant_table('erased_call_rollups');

CREATE TABLE erased_latency_rollups (
    LIKE latency_rollups INCLUDING ALL,
    FOREIGN KEY (org_id) REFERENCES organizations ON DELETE CASCADE
);
CALL hum.tenant_table('erased_latency_rollups');

-- Files that are deleted before their call: empty voicemails and deleted ones. The row stays until the call is
-- purged, since the machine that recorded the file may upload it late, and asks first.
CREATE TABLE dropped_recordings (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    path text NOT NULL,
    -- Null: it may still be in the store.
    gone_at timestamptz,
    tried_at timestamptz,
    dropped_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (call_id, path)
);
CREATE INDEX dropped_recordings_org ON dropped_recordings (org_id);
CREATE INDEX dropped_recordings_owed ON dropped_recordings (tried_at NULLS FIRST) WHERE gone_at IS NULL;
CALL hum.tenant_table('dropped_recordings');
REVOKE UPDATE, DELETE ON dropped_recordings FROM hum_app;

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

REVOKE EXECUTE ON FUNCTION hum.empty_events(uuid[]), hum.empty_old_events(timestamp with time zone,integer)
    FROM public;
GRANT EXECUTE ON FUNCTION hum.empty_events(uuid[]), hum.empty_old_events(timestamp with time zone,integer) TO hum_app;
