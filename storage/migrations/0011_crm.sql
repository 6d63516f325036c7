-- CRM connectors: a customer's own systems, queried for callers, and notified of ended calls and conversations.

CREATE TABLE crm_connectors (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name text NOT NULL,
    base_url text NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    -- Precedence from 1 without gaps: the first connector that knows a caller wins.
    position integer NOT NULL,
    timeout_ms integer NOT NULL,
    create_contacts boolean NOT NULL DEFAULT false,
    sync_calls boolean NOT NULL DEFAULT true,
    sync_conversations boolean NOT NULL DEFAULT false,
    -- Sealed; the old secret is accepted until the other side has had time to switch.
    secret bytea NOT NULL,
    old_secret bytea,
    old_secret_until timestamptz,
    -- Consecutive failures. While the circuit is open (`rests_until`), only pings are sent.
    failures integer NOT NULL DEFAULT 0,
    failure text,
    failing_since timestamptz,
    rests_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX crm_connectors_order ON crm_connectors (org_id, position, id);
CALL hum.tenant_table('crm_connectors');

-- A connector's knowledge of a contact.
CREATE TABLE crm_contacts (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    connector_id uuid NOT NULL REFERENCES crm_connectors ON DELETE CASCADE,
    contact_id uuid NOT NULL REFERENCES contacts ON DELETE CASCADE,
    -- The contact's id in the CRM; null: unknown there.
    external_id text,
    asked_at timestamptz NOT NULL,
    PRIMARY KEY (contact_id, connector_id)
);
CREATE INDEX crm_contacts_connector ON crm_contacts (connector_id);
CREATE INDEX crm_contacts_org ON crm_contacts (org_id);
CALL hum.tenant_table('crm_contacts');

-- Deliveries to a connector, pending and done: each once, retried for a day. The id is the delivery's.
CREATE TABLE crm_syncs (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    connector_id uuid NOT NULL REFERENCES crm_connectors ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('contact', 'call', 'conversation')),
    contact_id uuid REFERENCES contacts ON DELETE CASCADE,
    call_id uuid REFERENCES calls ON DELETE CASCADE,
    conversation_id uuid REFERENCES conversations ON DELETE CASCADE,
    -- The closing event, since a conversation can be closed again after reopening.
    event_id bigint,
    state text NOT NULL DEFAULT 'owed' CHECK (state IN ('owed', 'done', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    -- When it is tried next; while a job is queued, when that job counts as lost.
    due_at timestamptz NOT NULL,
    queued boolean NOT NULL DEFAULT false,
    -- The claim of the worker that delivers it.
    claim uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz
);
CREATE UNIQUE INDEX crm_syncs_contact ON crm_syncs (contact_id, connector_id) WHERE kind = 'contact';
CREATE UNIQUE INDEX crm_syncs_call ON crm_syncs (call_id, connector_id) WHERE kind = 'call';
CREATE UNIQUE INDEX crm_syncs_conversation ON crm_syncs (conversation_id, connector_id, event_id)
    WHERE kind = 'conversation';
CREATE INDEX crm_syncs_contact_of ON crm_syncs (contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX crm_syncs_due ON crm_syncs (connector_id, due_at, id) WHERE state = 'owed';
CREATE INDEX crm_syncs_owed ON crm_syncs (created_at) WHERE state = 'owed';
CREATE INDEX crm_syncs_ended ON crm_syncs (ended_at) WHERE state <> 'owed';
CREATE INDEX crm_syncs_org ON crm_syncs (org_id);
CALL hum.tenant_table('crm_syncs');

-- Requests and responses without secrets, kept for HUM's retention.
CREATE TABLE crm_logs (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    connector_id uuid NOT NULL REFERENCES crm_connectors ON DELETE CASCADE,
    delivery_id uuid NOT NULL,
    event text NOT NULL,
    contact_id uuid REFERENCES contacts ON DELETE CASCADE,
    call_id uuid REFERENCES calls ON DELETE CASCADE,
    conversation_id uuid REFERENCES conversations ON DELETE CASCADE,
    outcome text NOT NULL CHECK (outcome IN ('ok', 'not_found', 'failed')),
    reason text,
    message text,
    old_secret boolean NOT NULL,
    request_body text NOT NULL,
    status integer,
    response_body text,
    duration_ms integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX crm_logs_page ON crm_logs (connector_id, id DESC);
CREATE INDEX crm_logs_contact ON crm_logs (contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX crm_logs_call ON crm_logs (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX crm_logs_conversation ON crm_logs (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX crm_logs_org ON crm_logs (org_id);
CREATE INDEX crm_logs_age ON crm_logs (created_at);
CALL hum.tenant_table('crm_logs');
