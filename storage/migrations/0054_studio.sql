-- What an organization has tried in a day, counted because each costs: one row for each kind, begun anew with the day.

CREATE TABLE studio_uses (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('trial', 'proposal', 'preview')),
    day date NOT NULL,
    used integer NOT NULL,
    PRIMARY KEY (org_id, kind)
);
CALL hum.tenant_table('studio_uses');

-- Sentences that somebody listened to in a voice; they are forgotten, while the clips of flows stay.
CREATE TABLE voice_previews (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    hash bytea NOT NULL,
    audio_ulaw bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, hash)
);
CREATE INDEX voice_previews_age ON voice_previews (created_at);
CALL hum.tenant_table('voice_previews');
