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

SET LOCAL ROLE hum_owner;

ALTER TABLE calls DROP COLUMN keypad_entries, DROP COLUMN refused_onsets, DROP COLUMN more_refused_onsets;
