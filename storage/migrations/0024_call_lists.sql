-- The other lists of a call as rows instead of JSON arrays.

-- Keypad entries. An entry is known by its beginning, and stored with each key.
CREATE TABLE call_keypad_entries (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    at_ms integer NOT NULL,
    -- Null: the recording was paused during the entry, so no key of it may be stored.
    keys text,
    PRIMARY KEY (call_id, at_ms)
);
CALL hum.tenant_table('call_keypad_entries');

-- Sounds over the agent that passed for a voice and did not stop it. A report is stored once, however often it comes;
-- stream 0: reported before these had rows.
CREATE TABLE call_refused_onsets (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    stream_number integer NOT NULL,
    report_seq bigint NOT NULL,
    -- Null in a report of their number alone.
    at_ms integer,
    until_ms integer,
    onset text,
    reason text,
    -- How many this report adds to those that are only counted; 0: it is listed.
    more integer NOT NULL CHECK (more >= 0),
    PRIMARY KEY (call_id, stream_number, report_seq),
    CONSTRAINT call_refused_onsets_listed CHECK (more > 0 OR num_nulls(at_ms, until_ms, onset, reason) = 0)
);
CALL hum.tenant_table('call_refused_onsets');

-- The times at which another flow's agent took the call over; the last one is the call's present agent.
CREATE TABLE call_flow_switches (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    stream_number integer NOT NULL,
    report_seq bigint NOT NULL,
    flow_id uuid NOT NULL,
    flow_version integer NOT NULL,
    at_ms integer NOT NULL,
    PRIMARY KEY (call_id, stream_number, report_seq)
);
CALL hum.tenant_table('call_flow_switches');

-- What people told the agent, and what became of its approvals. The media process is sent each until it reports it.
CREATE TABLE call_interventions (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    stream_number integer NOT NULL,
    report_seq bigint NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    text text NOT NULL,
    -- The name of the person or key; empty for news.
    by text NOT NULL,
    at timestamptz,
    at_ms integer,
    PRIMARY KEY (call_id, id)
);
CALL hum.tenant_table('call_interventions');

-- Spans of the call's clock without recording, known by their beginning. The last report of one is stored.
CREATE TABLE call_recording_pauses (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    stream_number integer NOT NULL,
    report_seq bigint NOT NULL,
    start_ms integer NOT NULL,
    -- Null: it is under way, or lasted to the end of its stream.
    end_ms integer,
    cause text NOT NULL,
    PRIMARY KEY (call_id, start_ms)
);
CALL hum.tenant_table('call_recording_pauses');

-- The UUID behind an id of clients: its last 26 characters are 5 bits each, of which the first two bits are empty. Null
-- for any other text.
CREATE FUNCTION hum.uuid_of(id text) RETURNS uuid LANGUAGE sql AS $$
    SELECT string_agg(to_hex(substr(bits, n, 4)::bit(4)::integer), '' ORDER BY n)::uuid
      FROM (SELECT string_agg((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', digit) - 1)::bit(5)::text, '' ORDER BY place) AS bits
              FROM regexp_split_to_table(upper(right(id, 26)), '') WITH ORDINALITY AS each (digit, place)) packed
     CROSS JOIN generate_series(3, 127, 4) AS n
     WHERE id ~* '^([a-z]+_)?[0-7][0-9A-HJKMNP-TV-Z]{25}$'
$$;

SET LOCAL ROLE hum_system;

INSERT INTO call_keypad_entries
SELECT c.org_id, c.id, coalesce(entry.at_ms, 0), entry.keys
  FROM calls c CROSS JOIN LATERAL json_to_recordset(c.keypad_entries) AS entry (at_ms integer, keys text)
 WHERE entry.keys IS NOT NULL
ON CONFLICT DO NOTHING;

INSERT INTO call_refused_onsets
SELECT c.org_id, c.id, 0, n, o.at_ms, o.until_ms, o.onset, o.reason, 0
  FROM calls c CROSS JOIN LATERAL json_array_elements(c.refused_onsets) WITH ORDINALITY AS each (item, n)
 CROSS JOIN LATERAL (SELECT coalesce(at_ms, 0) AS at_ms, coalesce(until_ms, 0) AS until_ms, coalesce(onset, '') AS onset,
                            coalesce(reason, '') AS reason
                       FROM json_to_record(item) AS stored (at_ms integer, until_ms integer, onset text, reason text)) o;

INSERT INTO call_refused_onsets (org_id, call_id, stream_number, report_seq, more)
SELECT org_id, id, 0, 0, more_refused_onsets FROM calls WHERE more_refused_onsets > 0;

INSERT INTO call_flow_switches
SELECT c.org_id, c.id, 0, n, hum.uuid_of(item ->> 'flow_id'), coalesce((item ->> 'flow_version')::integer, 0),
       coalesce((item ->> 'at_ms')::integer, 0)
  FROM calls c CROSS JOIN LATERAL json_array_elements(c.flow_switches) WITH ORDINALITY AS each (item, n)
 WHERE hum.uuid_of(item ->> 'flow_id') IS NOT NULL;

-- PostgreSQL reads no member of an object with a NUL.
INSERT INTO call_interventions
SELECT c.org_id, c.id, 0, n, coalesce(hum.uuid_of(i.id), gen_random_uuid()), coalesce(i.kind, ''), coalesce(i.text, ''),
       coalesce(i.by, ''), i.at, i.at_ms
  FROM calls c CROSS JOIN LATERAL json_array_elements(c.interventions) WITH ORDINALITY AS each (item, n)
 CROSS JOIN LATERAL json_to_record(replace(item::text, '\u0000', '\ufffd')::json) AS i (
            id text, kind text, text text, by text, at timestamptz, at_ms integer)
ON CONFLICT DO NOTHING;

INSERT INTO call_recording_pauses
SELECT DISTINCT ON (c.id, start_ms)
       c.org_id, c.id, 0, n, coalesce((item ->> 'start_ms')::integer, 0) AS start_ms, (item ->> 'end_ms')::integer,
       coalesce(item ->> 'cause', '')
  FROM calls c CROSS JOIN LATERAL json_array_elements(c.recording_pauses) WITH ORDINALITY AS each (item, n)
 ORDER BY c.id, start_ms, n DESC;

SET LOCAL ROLE hum_owner;

DROP FUNCTION hum.uuid_of(text);

ALTER TABLE calls
    DROP COLUMN keypad_entries, DROP COLUMN refused_onsets, DROP COLUMN more_refused_onsets, DROP COLUMN flow_switches,
    DROP COLUMN interventions, DROP COLUMN recording_pauses;
