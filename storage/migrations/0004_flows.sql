-- Flows: agents and their versions, rendered clips, the studio's daily limits.

CREATE TABLE flows (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    channel text NOT NULL CHECK (channel IN ('voice', 'sms')),
    version integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    -- Event types that start the flow; null: none does.
    trigger_events text[]
);
CREATE INDEX flows_page ON flows (org_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX flows_listening ON flows (org_id) WHERE trigger_events IS NOT NULL AND deleted_at IS NULL;
CALL hum.tenant_table('flows');

CREATE TABLE flow_versions (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    flow_id uuid NOT NULL REFERENCES flows ON DELETE CASCADE,
    version integer NOT NULL,
    -- json, not jsonb: a customer's document is returned as it was written.
    definition json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- The top-level fields that this version changed, so that a list of versions reads no documents.
    changed text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (flow_id, version)
);
CREATE INDEX flow_versions_org ON flow_versions (org_id);
CALL hum.tenant_table('flow_versions');

-- An audio clip: a fixed sentence in a voice, rendered once for all flows of the organization.
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

-- Studio usage per day, since each use costs money: one row per kind, reset on the first use of a day.

CREATE TABLE studio_uses (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('trial', 'proposal', 'preview', 'clip')),
    day date NOT NULL,
    used integer NOT NULL,
    PRIMARY KEY (org_id, kind)
);
CALL hum.tenant_table('studio_uses');

-- Voice previews: pruned after a while, unlike the clips of flows.
CREATE TABLE voice_previews (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    hash bytea NOT NULL,
    audio_ulaw bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, hash)
);
CREATE INDEX voice_previews_age ON voice_previews (created_at);
CALL hum.tenant_table('voice_previews');
