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

SET LOCAL ROLE hum_system;

INSERT INTO call_keypad_entries
SELECT c.org_id, c.id, coalesce(entry.at_ms, 0), entry.keys
  FROM calls c CROSS JOIN LATERAL json_to_recordset(c.keypad_entries) AS entry (at_ms integer, keys text)
 WHERE entry.keys IS NOT NULL
ON CONFLICT DO NOTHING;

SET LOCAL ROLE hum_owner;

ALTER TABLE calls DROP COLUMN keypad_entries;
