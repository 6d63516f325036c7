-- Triggers: addresses at which other systems post what happened there.  Of an address only a hash is kept; secrets are sealed.

CREATE TABLE triggers (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name text NOT NULL,
    -- The type of its events, `external.<name>`.
    event text NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    -- The member of a body that tells occurrences apart; empty: none.
    id_field text NOT NULL DEFAULT 'id',
    token_hash bytea NOT NULL UNIQUE,
    -- The address before, as long as it is good.
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
    -- Nobody sees it any more; a sweep removes it with what it received.
    deleted_at timestamptz
);
CREATE INDEX triggers_org ON triggers (org_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX triggers_deleted ON triggers (id) WHERE deleted_at IS NOT NULL;
CALL hum.tenant_table('triggers');

-- What triggers received, as it came, and the event that it became in the same transaction.
CREATE TABLE trigger_deliveries (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    trigger_id uuid NOT NULL REFERENCES triggers ON DELETE CASCADE,
    event_id uuid NOT NULL,
    event text NOT NULL,
    -- What tells it from others, its beginning, and the hash of all of it; null: nothing does.
    key_source text CHECK (key_source IN ('idempotency-key', 'webhook-id', 'id_field')),
    key text,
    key_hash bytea,
    media_type text NOT NULL,
    -- Null once it was deleted; what it was stays known by its hash.
    body bytea,
    body_hash bytea NOT NULL,
    body_bytes integer NOT NULL,
    repeats integer NOT NULL DEFAULT 0,
    repeats_that_differ integer NOT NULL DEFAULT 0,
    repeated_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
-- The same key again is the same delivery, however many requests come at once.
CREATE UNIQUE INDEX trigger_deliveries_key ON trigger_deliveries (trigger_id, key_hash) WHERE key_hash IS NOT NULL;
CREATE INDEX trigger_deliveries_page ON trigger_deliveries (trigger_id, id DESC);
CREATE INDEX trigger_deliveries_bodies ON trigger_deliveries (org_id, created_at) WHERE body IS NOT NULL;
CREATE INDEX trigger_deliveries_age ON trigger_deliveries (created_at);
CALL hum.tenant_table('trigger_deliveries');

-- How much an organization's triggers received in a day, so that no organization fills the disk.
CREATE TABLE trigger_days (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    day date NOT NULL,
    body_bytes bigint NOT NULL,
    PRIMARY KEY (org_id, day)
);
CALL hum.tenant_table('trigger_days');
