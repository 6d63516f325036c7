-- Calls: media processes, streams, transcripts, search, voicemails, transfers and calls from browsers.

-- A media process: its link to control, and the last report batch that is stored.
CREATE TABLE media_links (
    node text PRIMARY KEY,
    batch_seq bigint NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    -- The process's present link (null: none), and why it takes no calls (null: it takes them).
    link uuid,
    refuses text,
    -- The origins of calls that the process takes.
    takes text[] NOT NULL DEFAULT '{phone}',
    -- Capacity in calls (null: unknown), the public URL, and the heartbeat interval.
    places integer,
    url text NOT NULL DEFAULT '',
    beat interval,
    -- The process's HUM_ZONE (empty: none), and its release of HUM.
    zone text NOT NULL DEFAULT '',
    version text NOT NULL DEFAULT '',
    -- When a stream that was offered to it did not open: others are preferred until its next heartbeat.
    doubted_at timestamptz
);
GRANT SELECT, INSERT, UPDATE, DELETE ON media_links TO hum_system;

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
    -- The one-time token of the call's stream.
    token_hash bytea UNIQUE,
    token_expires_at timestamptz,
    streams_opened integer NOT NULL DEFAULT 0,
    -- The media process that has the call.
    node text,
    -- When the carrier reported the end, which may precede the media plane's last report.
    carrier_ended_at timestamptz,
    -- The call's last event number; without gaps.
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
    outcome_label text,
    -- The caller's number of an inbound call, the callee's of an outbound one.
    contact_e164 text
    GENERATED ALWAYS AS (CASE direction WHEN 'inbound' THEN from_e164 ELSE to_e164 END) STORED,
    -- Streams that the carrier was asked to open; some are refused at admission.
    streams_offered integer NOT NULL DEFAULT 0,
    -- Since when the call is orphaned, and when the carrier was last asked about it.
    lost_at timestamptz,
    looked_at timestamptz,
    -- The STIR/SHAKEN verdict on the caller's number; null: none.
    caller_verification text CHECK (caller_verification IN ('passed', 'failed')),
    -- Why the recording is missing or ends before the call.
    recording_fault text,
    -- The action that the call leaves its stream for, and whether the stream has ended for it.
    owed jsonb,
    owed_due boolean NOT NULL DEFAULT false,
    -- Streams that ended for such an action; the others were lost, or are the last.
    streams_left integer NOT NULL DEFAULT 0,
    -- Who answered, as detected by the carrier.
    answered_by text CHECK (answered_by IN ('human', 'machine', 'screening', 'fax', 'unknown')),
    -- Spans of the call's clock without recording: JSON objects, in order.
    recording_pauses json NOT NULL DEFAULT '[]',
    -- The media URL that the carrier was given: the call occupies capacity there while its token is valid.
    media_url text,
    -- Keypad entries: JSON objects, as reported.
    keypad_entries json NOT NULL DEFAULT '[]',
    -- Instructions of supervisors to the agent, oldest first.
    interventions json NOT NULL DEFAULT '[]',
    -- The present agent, if it is not the initial one, and all agents that took the call over, in order.
    agent_flow_id uuid REFERENCES flows,
    agent_flow_version integer,
    flow_switches json NOT NULL DEFAULT '[]',
    -- The carrier account that holds the call, by which it is looked up, redirected and ended; empty: the
    -- deployment's.
    carrier_account text NOT NULL DEFAULT '',
    -- Refused onsets, sounds over the agent that were not taken for speech: JSON objects as reported, and how many
    -- more there were.
    refused_onsets json NOT NULL DEFAULT '[]',
    more_refused_onsets integer NOT NULL DEFAULT 0,
    CHECK ((agent_flow_id IS NULL) = (agent_flow_version IS NULL))
);
CREATE INDEX calls_page ON calls (org_id, created_at DESC, id DESC);
CREATE INDEX calls_flow ON calls (flow_id, created_at DESC, id DESC) WHERE flow_id IS NOT NULL;
CREATE INDEX calls_number ON calls (number_id, created_at DESC, id DESC) WHERE number_id IS NOT NULL;
CREATE INDEX calls_contact ON calls (contact_id, created_at DESC, id DESC) WHERE contact_id IS NOT NULL;
CREATE INDEX calls_contact_e164 ON calls (org_id, contact_e164, created_at DESC, id DESC);
CREATE INDEX calls_direction ON calls (org_id, direction, created_at DESC, id DESC);
CREATE INDEX calls_status ON calls (org_id, status, created_at DESC, id DESC);
CREATE INDEX calls_outcome ON calls (org_id, outcome_label, created_at DESC, id DESC) WHERE outcome_label IS NOT NULL;
CREATE INDEX calls_live ON calls (node) WHERE status IN ('ringing', 'in_progress');
CREATE INDEX calls_live_org ON calls (org_id, from_e164) WHERE status IN ('ringing', 'in_progress');
-- Live calls by process, counted at each admission.
CREATE INDEX calls_live_node ON calls (node) WHERE status IN ('queued', 'ringing', 'in_progress');
CALL hum.tenant_table('calls');
-- For the functions below, which run as the owner: they read the organization's rows that they join.
CREATE POLICY door ON calls FOR SELECT TO hum_owner USING (org_id = (SELECT hum.org_id()));

-- A call's stream, and its successor if it was lost; each counts its own reports, turns and milliseconds.
CREATE TABLE call_streams (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    number integer NOT NULL,
    stream_sid text NOT NULL,
    node text NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The last stored report.
    report_seq bigint NOT NULL DEFAULT 0,
    -- Unfinished turns as last reported (a serialized CallUnderWay), for the transcript if the media process dies.
    -- Written twice a second while somebody speaks, so pages leave room for in-place updates.
    under_way bytea,
    -- The stream's recording.
    recording_path text,
    -- Null until the recording is stored: its process is writing it, or has died.
    recording_ms integer,
    recording_bytes bigint,
    -- When they were last reported: since then the caller has heard nothing if the process died.
    under_way_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (call_id, number)
) WITH (fillfactor = 50);
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
    -- The turn's id in live deltas.
    item_id text NOT NULL DEFAULT '',
    PRIMARY KEY (call_id, seq)
);
CALL hum.tenant_table('call_turns');
CREATE POLICY door ON call_turns FOR SELECT TO hum_owner USING (org_id = (SELECT hum.org_id()));

-- The call's event stream; the outbox is `events`.

CREATE TABLE call_events (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    seq bigint NOT NULL,
    type text NOT NULL,
    data json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (call_id, seq)
);
CALL hum.tenant_table('call_events');
REVOKE UPDATE, DELETE ON call_events FROM hum_app;

CREATE TABLE call_tags (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    tag text NOT NULL,
    -- The call's time, for pages by tag.
    called_at timestamptz NOT NULL,
    PRIMARY KEY (call_id, tag)
);
CREATE INDEX call_tags_page ON call_tags (org_id, tag, called_at DESC, call_id DESC);
CALL hum.tenant_table('call_tags');
CREATE POLICY door ON call_tags FOR SELECT TO hum_owner USING (org_id = (SELECT hum.org_id()));

-- Notes on calls.

CREATE TABLE call_notes (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    body text NOT NULL,
    author text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz
);
CREATE INDEX call_notes_page ON call_notes (call_id, id DESC);
CALL hum.tenant_table('call_notes');

-- Search index of calls. Search is the one exception to the policies: `@@` is not leakproof, so PostgreSQL would not
-- use the index below a policy. The application has no grant; a SECURITY DEFINER function filters by organization and
-- returns ids.
CREATE TABLE call_search (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid PRIMARY KEY REFERENCES calls ON DELETE CASCADE,
    words tsvector NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX call_search_words ON call_search USING gin (words) WITH (fastupdate = off);
CREATE INDEX call_search_page ON call_search (org_id, created_at DESC, call_id DESC);
ALTER TABLE call_search ENABLE ROW LEVEL SECURITY;
ALTER TABLE call_search ALTER COLUMN words SET STATISTICS 1000;
CREATE POLICY system ON call_search TO hum_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON call_search TO hum_system;

CREATE TABLE voicemails (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL UNIQUE REFERENCES calls ON DELETE CASCADE,
    audio_path text NOT NULL,
    duration_ms integer NOT NULL,
    transcript text,
    heard_at timestamptz,
    heard_by text,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- After one failed transcription, the call's summary does not wait for the transcript.
    transcription_failed boolean NOT NULL DEFAULT false,
    -- Files are deleted after this, then the row.
    deleted_at timestamptz
);
CREATE INDEX voicemails_page ON voicemails (org_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX voicemails_unheard ON voicemails (org_id, id DESC) WHERE heard_at IS NULL AND deleted_at IS NULL;
CALL hum.tenant_table('voicemails');

-- The files of a voicemail: one, or one per stream if a stream was lost.
CREATE TABLE message_parts (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    stream_number integer NOT NULL,
    audio_path text NOT NULL,
    -- False: the stream has not reported the file's end, and never will if its process died.
    whole boolean NOT NULL DEFAULT false,
    PRIMARY KEY (call_id, stream_number)
);
CREATE INDEX message_parts_org ON message_parts (org_id);
CALL hum.tenant_table('message_parts');

-- A transfer of a call to a telephone, from the moment at which the carrier is asked to ring it.
CREATE TABLE transfers (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    id uuid PRIMARY KEY,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    -- The target's label in the flow's transfer map; null: a number that a person entered.
    label text,
    to_e164 text NOT NULL,
    -- The caller ID that is shown to the callee.
    caller_id_e164 text NOT NULL,
    -- `agent`, or an actor as in the audit log.
    asked_by text NOT NULL,
    summary text NOT NULL,
    ring_seconds integer NOT NULL,
    -- Whether a whisper is played to the callee first, and whether they must press a key.
    whispers boolean NOT NULL,
    needs_key boolean NOT NULL,
    unanswered text NOT NULL CHECK (unanswered IN ('agent', 'voicemail')),
    state text NOT NULL CHECK (state IN ('ringing', 'answered', 'connected', 'completed', 'busy', 'no_answer',
                                         'not_accepted', 'failed', 'canceled')),
    started_at timestamptz NOT NULL,
    answered_at timestamptz,
    connected_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX transfers_call ON transfers (call_id, started_at);
-- A call has at most one transfer in progress.
CREATE UNIQUE INDEX transfers_active ON transfers (call_id) WHERE ended_at IS NULL;
CALL hum.tenant_table('transfers');

CREATE TABLE browser_calls (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid PRIMARY KEY REFERENCES calls ON DELETE CASCADE,
    -- The actor who placed it, as in the audit log.
    caller text NOT NULL,
    -- The media process that is to answer.
    node text NOT NULL,
    -- SDP offer and answer, which contain addresses: each is deleted when it is read.
    offer text,
    answer text,
    -- Why there is no answer, and the media process's explanation.
    refusal text CHECK (refusal IN ('refused', 'bad_offer', 'failed')),
    detail text
);
CREATE INDEX browser_calls_caller ON browser_calls (org_id, caller);
CREATE INDEX browser_calls_node ON browser_calls (node);
CALL hum.tenant_table('browser_calls');

-- Quarantined reports of the media plane (serialized hum.v1.Report).
CREATE TABLE reports_set_aside (
    node text NOT NULL,
    batch_seq bigint NOT NULL,
    place integer NOT NULL,
    report bytea NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    -- The call that the report names, if any.
    call_id uuid,
    PRIMARY KEY (node, batch_seq, place)
);
CREATE INDEX reports_set_aside_at ON reports_set_aside (at);
CREATE INDEX reports_set_aside_call ON reports_set_aside (call_id) WHERE call_id IS NOT NULL;
GRANT SELECT, INSERT, DELETE ON reports_set_aside TO hum_system;

CREATE FUNCTION hum.search_calls(
    query text, digits text, before_at timestamptz, before_id uuid, most integer, direction text, status text,
    flow uuid, number uuid, contact uuid, contact_phone text, tag text, outcome text, from_at timestamptz, to_at timestamptz)
RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 50 SET search_path = pg_catalog, public AS $$
DECLARE
    said tsquery := websearch_to_tsquery('simple', hum.folded(query));
    wanted tsquery := CASE WHEN digits IS NULL THEN said ELSE (digits || ':*')::tsquery || said END;
BEGIN
    RETURN QUERY EXECUTE 'SELECT s.call_id FROM call_search s'
        || CASE WHEN num_nonnulls(direction, status, flow, number, contact, contact_phone, outcome) = 0 THEN ''
           ELSE $sql$
          JOIN calls c ON c.id = s.call_id
           AND ($5 IS NULL OR c.direction = $5)
           AND ($6 IS NULL OR c.status = $6)
           AND ($7 IS NULL OR c.flow_id = $7)
           AND ($8 IS NULL OR c.number_id = $8)
           AND ($9 IS NULL OR c.contact_id = $9)
           AND ($10 IS NULL OR c.contact_e164 = $10)
           AND ($11 IS NULL OR c.outcome_label = $11) $sql$ END
        || CASE WHEN tag IS NULL THEN '' ELSE ' JOIN call_tags t ON t.call_id = s.call_id AND t.tag = $12' END || $sql$
         WHERE s.org_id = $1
           AND s.words @@ $2
           AND ($3 IS NULL OR (s.created_at, s.call_id) < ($3, $4))
           AND ($13 IS NULL OR s.created_at >= $13)
           AND ($14 IS NULL OR s.created_at < $14)
         ORDER BY s.created_at DESC, s.call_id DESC
         LIMIT $15 $sql$
    USING hum.org_id(), wanted, before_at, before_id, direction, status, flow, number, contact, contact_phone, outcome,
          tag, from_at, to_at, most;
END
$$;

-- Index a call when it is created, and again when its contact's name changes. The system creates calls too, without
-- an organization of its own: the call's is set meanwhile. Calls that are deleted together with their contact are
-- only removed from the index.
CREATE FUNCTION hum.index_changed_call() RETURNS trigger
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

CREATE FUNCTION hum.forget_reports(ids uuid[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    DELETE FROM reports_set_aside r USING calls c
     WHERE r.call_id = ANY (ids) AND c.id = r.call_id AND c.org_id = (SELECT hum.org_id())
$$;

-- Index one call of this organization: numbers, the contact's name and company, transcript, voicemail and summary.
-- The text is cut at half a million letters, since a tsvector holds a megabyte.
CREATE FUNCTION hum.index_call(call uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    INSERT INTO call_search (org_id, call_id, created_at, words)
    SELECT c.org_id, c.id, c.created_at,
           array_to_tsvector(hum.phone_words(c.from_e164) || hum.phone_words(c.to_e164))
           || to_tsvector('simple', left(hum.folded(concat_ws(' ',
                  (SELECT concat_ws(' ', k.name, k.company) FROM contacts k WHERE k.id = c.contact_id),
                  c.summary ->> 'text',
                  (SELECT v.transcript FROM voicemails v WHERE v.call_id = c.id AND v.deleted_at IS NULL),
                  (SELECT string_agg(t.text, ' ' ORDER BY t.seq) FROM call_turns t WHERE t.call_id = c.id))), 500000))
      FROM calls c
     WHERE c.id = call AND c.org_id = (SELECT hum.org_id())
    ON CONFLICT (call_id) DO UPDATE SET words = excluded.words
$$;

CREATE TRIGGER calls_search AFTER INSERT ON calls FOR EACH ROW EXECUTE FUNCTION hum.index_changed_call();
CREATE TRIGGER calls_search_contact AFTER UPDATE OF contact_id ON calls
    FOR EACH ROW WHEN (OLD.contact_id IS DISTINCT FROM NEW.contact_id) EXECUTE FUNCTION hum.index_changed_call();

REVOKE EXECUTE ON FUNCTION hum.index_changed_call() FROM public;
REVOKE EXECUTE ON FUNCTION
    hum.forget_reports(uuid[]), hum.index_call(uuid),
    hum.search_calls(text,text,timestamp with time zone,uuid,integer,text,text,uuid,uuid,uuid,text,text,text,timestamp with time zone,timestamp with time zone)
    FROM public;
GRANT EXECUTE ON FUNCTION
    hum.forget_reports(uuid[]), hum.index_call(uuid),
    hum.search_calls(text,text,timestamp with time zone,uuid,integer,text,text,uuid,uuid,uuid,text,text,text,timestamp with time zone,timestamp with time zone)
    TO hum_app;
