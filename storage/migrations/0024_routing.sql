-- What each media process carries and where the carrier reaches it; the place that a call holds; keys that callers press.

-- How many calls a process carries at once (null: nothing is known), its public URL, and how often it says that it lives.
ALTER TABLE media_links ADD COLUMN places integer;
ALTER TABLE media_links ADD COLUMN url text NOT NULL DEFAULT '';
ALTER TABLE media_links ADD COLUMN beat interval;

-- Where the carrier was sent: while the token can be used, the call holds a place there.
ALTER TABLE calls ADD COLUMN media_url text;
-- What the caller entered on the keypad: JSON objects, as they were reported.
ALTER TABLE calls ADD COLUMN keypad_entries json NOT NULL DEFAULT '[]';

-- Calls that go on, by the process that has them: whenever a place is given away, they are counted.
CREATE INDEX calls_live_node ON calls (node) WHERE status IN ('queued', 'ringing', 'in_progress');
