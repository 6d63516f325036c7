-- Phone numbers, their purchases, and lookups of senders.

CREATE TABLE numbers (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    -- Unique in the deployment: a number has at most one owner.
    e164 text NOT NULL UNIQUE,
    carrier_sid text NOT NULL,
    friendly_name text,
    flow_id uuid REFERENCES flows,
    sms_flow_id uuid REFERENCES flows,
    sms_enabled boolean NOT NULL DEFAULT false,
    capabilities text[] NOT NULL,
    -- releasing: it is being returned to the carrier and no longer answers.
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'gone', 'releasing')),
    created_at timestamptz NOT NULL DEFAULT now(),
    releasing_since timestamptz,
    -- The carrier account that holds the number; null: one of the deployment's, not yet determined.
    account_sid text
);
CREATE INDEX numbers_page ON numbers (org_id, id DESC);
CREATE INDEX numbers_flow ON numbers (flow_id) WHERE flow_id IS NOT NULL;
CREATE INDEX numbers_sms_flow ON numbers (sms_flow_id) WHERE sms_flow_id IS NOT NULL;
CREATE INDEX numbers_releasing ON numbers (releasing_since) WHERE status = 'releasing';
CALL hum.tenant_table('numbers');

CREATE TABLE number_purchases (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    e164 text NOT NULL,
    flow_id uuid,
    sms_flow_id uuid,
    -- buying: the purchase has been, or may have been, requested. returning: the carrier sold it, and it must be
    -- returned.
    status text NOT NULL CHECK (status IN ('buying', 'bought', 'failed', 'returning', 'returned')),
    carrier_sid text,
    number_id uuid REFERENCES numbers ON DELETE SET NULL,
    actor text NOT NULL,
    actor_name text NOT NULL,
    request_id text NOT NULL,
    idempotency_key text,
    body_hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Heartbeat of the worker on it; an old one means that another worker may claim it.
    claimed_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX number_purchases_open ON number_purchases (e164) WHERE status IN ('buying', 'returning');
CREATE INDEX number_purchases_due ON number_purchases (claimed_at) WHERE status IN ('buying', 'returning');
CREATE UNIQUE INDEX number_purchases_key ON number_purchases (org_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL AND status IN ('buying', 'bought');
CREATE INDEX number_purchases_day ON number_purchases (org_id, created_at);
CALL hum.tenant_table('number_purchases');

-- Carrier lookups of text senders per organization and day (UTC): each costs money.
CREATE TABLE lookup_days (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    day date NOT NULL,
    count integer NOT NULL,
    PRIMARY KEY (org_id, day)
);
CALL hum.tenant_table('lookup_days');
