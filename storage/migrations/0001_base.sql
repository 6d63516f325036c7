-- Tenancy, identity, flows, numbers, contacts, calls, events.
--
-- Every tenant table: org_id first, row level security ENABLEd and FORCEd, one policy for the application (its
-- organization's rows, none without one) and one for the system (ingress, jobs, senders, data steps).
-- hum.tenant_table('name') says all that in one place.

CREATE SCHEMA hum;
GRANT USAGE ON SCHEMA hum TO hum_app, hum_system;

-- The organization of this transaction; null without one, and null equals nothing.
CREATE FUNCTION hum.org_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('hum.org_id', true), '')::uuid
$$;

CREATE PROCEDURE hum.tenant_table(name text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format(
        'CREATE POLICY tenant ON %I TO hum_app USING (org_id = (SELECT hum.org_id())) WITH CHECK (org_id = (SELECT hum.org_id()))',
        name);
    EXECUTE format('CREATE POLICY system ON %I TO hum_system USING (true) WITH CHECK (true)', name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO hum_app, hum_system', name);
END
$$;
REVOKE EXECUTE ON PROCEDURE hum.tenant_table(text) FROM public;

-- Identity --------------------------------------------------------------------------------------------------------

CREATE TABLE organizations (
    org_id uuid PRIMARY KEY,
    name text NOT NULL,
    time_zone text NOT NULL DEFAULT 'UTC',
    business_hours_json text,
    business_identity_json text,
    quiet_hours_enabled boolean NOT NULL DEFAULT true,
    recipient_hours_enabled boolean NOT NULL DEFAULT false,
    voice_quiet_hours_enabled boolean NOT NULL DEFAULT false,
    keyword_replies text NOT NULL DEFAULT 'carrier' CHECK (keyword_replies IN ('carrier', 'hum')),
    retention_days integer,
    created_at timestamptz NOT NULL DEFAULT now()
);
CALL hum.tenant_table('organizations');

-- People belong to several organizations: they are no tenant's rows.  The application sees those of its members.
CREATE TABLE users (
    id uuid PRIMARY KEY,
    email text NOT NULL,
    name text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_email ON users (lower(email));

CREATE TABLE memberships (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id);
CALL hum.tenant_table('memberships');

ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON users FOR SELECT TO hum_app USING (id IN (SELECT user_id FROM memberships));
CREATE POLICY system ON users TO hum_system USING (true) WITH CHECK (true);
GRANT SELECT ON users TO hum_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON users TO hum_system;

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    hash bytea NOT NULL UNIQUE,
    prefix text NOT NULL,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    scopes text[] NOT NULL,
    made_by uuid REFERENCES users ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX api_keys_page ON api_keys (org_id, id DESC);
CALL hum.tenant_table('api_keys');
-- The door's own eyes: hum.begin_as runs as the owner, whom FORCE would blind.
CREATE POLICY door ON api_keys TO hum_owner USING (true) WITH CHECK (true);

-- Who is it?  Resolves a credential's SHA-256 and makes its organization this transaction's.  No row: nobody.
-- The only question that is asked before the tenant is known, so the only one that looks across tenants.
CREATE FUNCTION hum.begin_as(credential bytea)
RETURNS TABLE (org_id uuid, role text, scopes text[], key_id uuid, user_id uuid, name text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
DECLARE
    this api_keys;
BEGIN
    SELECT * INTO this FROM api_keys
     WHERE hash = credential AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now());
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- "Last used" is true to a minute; no request waits for another's lock to say so.
    UPDATE api_keys SET last_used_at = now()
     WHERE id = (SELECT id FROM api_keys
                  WHERE id = this.id AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
                    FOR UPDATE SKIP LOCKED);
    PERFORM set_config('hum.org_id', this.org_id::text, true);
    RETURN QUERY SELECT this.org_id, this.role, this.scopes, this.id, this.made_by, this.name;
END
$$;
REVOKE EXECUTE ON FUNCTION hum.begin_as(bytea) FROM public;
GRANT EXECUTE ON FUNCTION hum.begin_as(bytea) TO hum_app;

CREATE TABLE idempotency_keys (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    key text NOT NULL,
    method text NOT NULL,
    body_hash bytea NOT NULL,
    answer bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
CALL hum.tenant_table('idempotency_keys');

-- Flows -----------------------------------------------------------------------------------------------------------

CREATE TABLE flows (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    channel text NOT NULL CHECK (channel IN ('voice', 'sms')),
    version integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX flows_page ON flows (org_id, id DESC) WHERE deleted_at IS NULL;
CALL hum.tenant_table('flows');

CREATE TABLE flow_versions (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    flow_id uuid NOT NULL REFERENCES flows ON DELETE CASCADE,
    version integer NOT NULL,
    -- json, not jsonb: what a customer wrote comes back as it was written.
    definition json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (flow_id, version)
);
CREATE INDEX flow_versions_org ON flow_versions (org_id);
CALL hum.tenant_table('flow_versions');

-- A fixed sentence in a voice, rendered once for all flows that say it.
CREATE TABLE clips (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    hash bytea NOT NULL,
    voice text NOT NULL,
    text text NOT NULL,
    audio_ulaw bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, hash)
);
CALL hum.tenant_table('clips');

-- Numbers ---------------------------------------------------------------------------------------------------------

CREATE TABLE numbers (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    -- Of the whole deployment: a number has at most one owner.
    e164 text NOT NULL UNIQUE,
    carrier_sid text NOT NULL,
    friendly_name text,
    flow_id uuid REFERENCES flows,
    sms_flow_id uuid REFERENCES flows,
    sms_enabled boolean NOT NULL DEFAULT false,
    capabilities text[] NOT NULL,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'gone')),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX numbers_page ON numbers (org_id, id DESC);
CREATE INDEX numbers_flow ON numbers (flow_id) WHERE flow_id IS NOT NULL;
CREATE INDEX numbers_sms_flow ON numbers (sms_flow_id) WHERE sms_flow_id IS NOT NULL;
CALL hum.tenant_table('numbers');

-- Contacts --------------------------------------------------------------------------------------------------------

CREATE TABLE contacts (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    phone_e164 text NOT NULL,
    name text,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, phone_e164)
);
CALL hum.tenant_table('contacts');

CREATE TABLE blocklist (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    phone_e164 text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, phone_e164)
);
CALL hum.tenant_table('blocklist');

-- Calls -----------------------------------------------------------------------------------------------------------

CREATE TABLE calls (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_sid text UNIQUE,
    direction text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    origin text NOT NULL DEFAULT 'phone' CHECK (origin IN ('phone', 'browser')),
    status text NOT NULL CHECK (status IN
        ('queued', 'ringing', 'in_progress', 'completed', 'busy', 'no_answer', 'failed', 'canceled', 'blocked')),
    from_e164 text NOT NULL,
    to_e164 text NOT NULL,
    number_id uuid REFERENCES numbers ON DELETE SET NULL,
    flow_id uuid REFERENCES flows,
    flow_version integer,
    contact_id uuid REFERENCES contacts ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    answered_at timestamptz,
    ended_at timestamptz,
    end_reason text,
    end_detail text,
    -- The one-time door of its stream.
    token_hash bytea UNIQUE,
    token_expires_at timestamptz,
    streams_opened integer NOT NULL DEFAULT 0,
    -- The media process that has the call now.
    node text,
    -- What the carrier said of the end, which may come before the media plane's last report.
    carrier_ended_at timestamptz,
    -- Numbers the call's events, without a gap.
    event_seq bigint NOT NULL DEFAULT 0,
    announcement_played_ms integer,
    recording_path text,
    recording_ms integer,
    recording_bytes bigint,
    latency json NOT NULL DEFAULT '[]',
    interruptions json NOT NULL DEFAULT '[]',
    tool_activity json NOT NULL DEFAULT '[]',
    summary json,
    outcome text,
    outcome_label text
);
CREATE INDEX calls_page ON calls (org_id, created_at DESC, id DESC);
CREATE INDEX calls_flow ON calls (flow_id, created_at DESC);
CREATE INDEX calls_contact ON calls (contact_id, created_at DESC) WHERE contact_id IS NOT NULL;
CREATE INDEX calls_live ON calls (node) WHERE status IN ('queued', 'ringing', 'in_progress');
CALL hum.tenant_table('calls');

-- A call has one stream, and another when that died; each counts its own reports, turns and milliseconds.
CREATE TABLE call_streams (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    number integer NOT NULL,
    stream_sid text NOT NULL,
    node text NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The last report that is stored.
    report_seq bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (call_id, number)
);
CALL hum.tenant_table('call_streams');

CREATE TABLE call_turns (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    seq integer NOT NULL,
    role text NOT NULL CHECK (role IN ('caller', 'agent', 'system')),
    text text NOT NULL,
    heard_text text,
    start_ms integer NOT NULL,
    end_ms integer NOT NULL,
    interrupted boolean NOT NULL DEFAULT false,
    PRIMARY KEY (call_id, seq)
);
CALL hum.tenant_table('call_turns');

CREATE TABLE call_tags (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    tag text NOT NULL,
    PRIMARY KEY (call_id, tag)
);
CREATE INDEX call_tags_tag ON call_tags (org_id, tag);
CALL hum.tenant_table('call_tags');

-- Search is the one exception to the policies: `@@` is not leakproof, so under a policy PostgreSQL would refuse the
-- index.  No grant to the application; the only door filters by the organization itself and returns ids.
CREATE TABLE call_search (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid PRIMARY KEY REFERENCES calls ON DELETE CASCADE,
    words tsvector NOT NULL
);
CREATE INDEX call_search_words ON call_search USING gin (words);
CREATE INDEX call_search_org ON call_search (org_id);
ALTER TABLE call_search ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON call_search TO hum_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON call_search TO hum_system;

CREATE FUNCTION hum.search_calls(query text) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT call_id FROM call_search
     WHERE org_id = (SELECT hum.org_id()) AND words @@ websearch_to_tsquery('simple', query)
$$;
-- Numbers, name, transcript and summary of one call of this organization, as words.
CREATE FUNCTION hum.index_call(call uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    INSERT INTO call_search (org_id, call_id, words)
    SELECT c.org_id, c.id, to_tsvector('simple', concat_ws(' ',
               c.from_e164, substr(c.from_e164, 2), c.to_e164, substr(c.to_e164, 2),
               (SELECT k.name FROM contacts k WHERE k.id = c.contact_id),
               c.summary ->> 'text',
               (SELECT string_agg(t.text, ' ' ORDER BY t.seq) FROM call_turns t WHERE t.call_id = c.id)))
      FROM calls c
     WHERE c.id = call AND c.org_id = (SELECT hum.org_id())
    ON CONFLICT (call_id) DO UPDATE SET words = excluded.words
$$;
-- The functions above run as the owner, whom FORCE blinds: it may read what it must join, of this organization.
CREATE POLICY door ON calls FOR SELECT TO hum_owner USING (org_id = (SELECT hum.org_id()));
CREATE POLICY door ON call_turns FOR SELECT TO hum_owner USING (org_id = (SELECT hum.org_id()));
CREATE POLICY door ON contacts FOR SELECT TO hum_owner USING (org_id = (SELECT hum.org_id()));
REVOKE EXECUTE ON FUNCTION hum.search_calls(text), hum.index_call(uuid) FROM public;
GRANT EXECUTE ON FUNCTION hum.search_calls(text), hum.index_call(uuid) TO hum_app;

-- Events: the outbox ----------------------------------------------------------------------------------------------

CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Readers with cursors read below pg_snapshot_xmin: an event that commits late has a late transaction, not a late id.
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    type text NOT NULL,
    subject_id uuid NOT NULL,
    -- The subject's own sequence, where it has one (a call's stream).
    subject_seq bigint,
    data json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX events_subject ON events (subject_id, subject_seq) WHERE subject_seq IS NOT NULL;
CREATE INDEX events_horizon ON events (xid, id);
CREATE INDEX events_org ON events (org_id, id DESC);
CALL hum.tenant_table('events');
REVOKE UPDATE, DELETE ON events FROM hum_app;

-- A reader's place in the events.
CREATE TABLE event_cursors (
    reader text PRIMARY KEY,
    xid xid8 NOT NULL,
    id bigint NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON event_cursors TO hum_system;

-- The batches of reports that are stored, for each media process.
CREATE TABLE media_links (
    node text PRIMARY KEY,
    batch_seq bigint NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE, DELETE ON media_links TO hum_system;
