-- Triggers: URLs to which other systems post events. Only a hash of a URL's token is stored; secrets are sealed.

CREATE TABLE triggers (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name text NOT NULL,
    -- The event type, `external.<name>`.
    event text NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    -- The member of a body that identifies an occurrence; empty: none.
    id_field text NOT NULL DEFAULT 'id',
    token_hash bytea NOT NULL UNIQUE,
    -- The previous token, while it is accepted.
    old_token_hash bytea UNIQUE,
    old_token_until timestamptz,
    -- Sealed; null: requests are not signed.
    secret bytea,
    old_secret bytea,
    old_secret_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    last_refused_at timestamptz,
    last_refusal text CHECK (last_refusal IN ('signature', 'body', 'media_type')),
    -- Hidden from now on; a sweep deletes it with its deliveries.
    deleted_at timestamptz
);
CREATE INDEX triggers_org ON triggers (org_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX triggers_deleted ON triggers (id) WHERE deleted_at IS NOT NULL;
CALL hum.tenant_table('triggers');

-- Received requests, each with the event that the same transaction appended.
CREATE TABLE trigger_deliveries (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    trigger_id uuid NOT NULL REFERENCES triggers ON DELETE CASCADE,
    event_id uuid NOT NULL,
    event text NOT NULL,
    -- The idempotency key, its beginning and its hash; null: none.
    key_source text CHECK (key_source IN ('idempotency-key', 'webhook-id', 'id_field')),
    key text,
    key_hash bytea,
    media_type text NOT NULL,
    -- Null after the body was purged; its hash stays.
    body bytea,
    body_hash bytea NOT NULL,
    body_bytes integer NOT NULL,
    repeats integer NOT NULL DEFAULT 0,
    repeats_that_differ integer NOT NULL DEFAULT 0,
    repeated_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
-- A repeated key is the same delivery, also for concurrent requests.
CREATE UNIQUE INDEX trigger_deliveries_key ON trigger_deliveries (trigger_id, key_hash) WHERE key_hash IS NOT NULL;
CREATE INDEX trigger_deliveries_page ON trigger_deliveries (trigger_id, id DESC);
CREATE INDEX trigger_deliveries_bodies ON trigger_deliveries (org_id, created_at) WHERE body IS NOT NULL;
CREATE INDEX trigger_deliveries_age ON trigger_deliveries (created_at);
CALL hum.tenant_table('trigger_deliveries');

-- Bytes received per organization and day, so that no organization fills the disk.
CREATE TABLE trigger_days (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    day date NOT NULL,
    body_bytes bigint NOT NULL,
    PRIMARY KEY (org_id, day)
);
CALL hum.tenant_table('trigger_days');
