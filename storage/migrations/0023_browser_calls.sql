-- Calls from browsers.

-- Where the calls come from that a media process takes.
ALTER TABLE media_links ADD COLUMN takes text[] NOT NULL DEFAULT '{phone}';

CREATE TABLE browser_calls (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid PRIMARY KEY REFERENCES calls ON DELETE CASCADE,
    -- Who placed it, as the audit log names them.
    caller text NOT NULL,
    -- The media process that is to answer.
    node text NOT NULL,
    -- What browser and media process tell each other, which names addresses: each is kept until it is taken.
    offer text,
    answer text,
    -- Why there is no answer: refused, bad_offer, failed; and what the media process says of that.
    refusal text CHECK (refusal IN ('refused', 'bad_offer', 'failed')),
    detail text
);
CREATE INDEX browser_calls_caller ON browser_calls (org_id, caller);
CREATE INDEX browser_calls_node ON browser_calls (node);
CALL hum.tenant_table('browser_calls');
