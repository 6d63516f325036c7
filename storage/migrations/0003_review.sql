-- Review: notes on calls, and why a number is blocked.

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

ALTER TABLE blocklist ADD COLUMN reason text;
CREATE INDEX blocklist_page ON blocklist (org_id, created_at DESC, phone_e164 DESC);
