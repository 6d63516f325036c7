-- Files of calls that are to go before their calls do: messages in which nothing was said, and voicemails that were deleted.

-- The row stays as long as its call: the machine that recorded the file may bring it to the store only afterwards, and asks.
CREATE TABLE dropped_recordings (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    path text NOT NULL,
    -- Null: it may still be in the store.
    gone_at timestamptz,
    tried_at timestamptz,
    dropped_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (call_id, path)
);
CREATE INDEX dropped_recordings_org ON dropped_recordings (org_id);
CREATE INDEX dropped_recordings_owed ON dropped_recordings (tried_at NULLS FIRST) WHERE gone_at IS NULL;
CALL hum.tenant_table('dropped_recordings');
REVOKE UPDATE, DELETE ON dropped_recordings FROM hum_app;
