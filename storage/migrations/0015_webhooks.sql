-- Webhooks: endpoints of customers, their deliveries, and each attempt.

CREATE TABLE webhooks (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    url text NOT NULL,
    description text NOT NULL DEFAULT '',
    -- Event types, `noun.*` or `*`; empty: all.
    events text[] NOT NULL,
    number_ids uuid[] NOT NULL,
    flow_ids uuid[] NOT NULL,
    sealed_headers bytea,
    ordered boolean NOT NULL,
    format text NOT NULL CHECK (format IN ('event', 'slack', 'discord', 'teams')),
    preset text,
    -- Null while enabled.
    disabled_reason text CHECK (disabled_reason IN ('person', 'gone', 'failing')),
    disabled_at timestamptz,
    sealed_secret bytea NOT NULL,
    sealed_previous_secret bytea,
    previous_secret_expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((disabled_reason IS NULL) = (disabled_at IS NULL))
);
CREATE INDEX webhooks_page ON webhooks (org_id, id DESC);
CALL hum.tenant_table('webhooks');

-- Delivery state, apart from the settings. A transaction that claims deliveries of a webhook, or records their
-- outcome, locks its row here first.
CREATE TABLE webhook_queues (
    webhook_id uuid PRIMARY KEY REFERENCES webhooks ON DELETE CASCADE,
    org_id uuid NOT NULL,
    -- When deliveries are next due; null: none is pending.
    next_at timestamptz,
    -- Circuit breaker: no attempts until then.
    held_until timestamptz,
    -- Consecutive failures: the first, the latest.
    failures integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    last_failed_at timestamptz,
    last_error text,
    last_status integer,
    last_delivered_at timestamptz,
    -- Warnings sent to its organization about them.
    warnings integer NOT NULL DEFAULT 0
);
CREATE INDEX webhook_queues_next ON webhook_queues (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_queues_failing ON webhook_queues (failing_since) WHERE failing_since IS NOT NULL;
CALL hum.tenant_table('webhook_queues');

-- One event for one webhook. The event is not copied, so purging it purges it here. No references to organizations
-- and events: each insert would lock those rows.
CREATE TABLE webhook_deliveries (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL,
    webhook_id uuid NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    event_id bigint NOT NULL,
    event_type text NOT NULL,
    -- The call or conversation, and the event's position in it.
    stream_id uuid,
    sequence bigint,
    state text NOT NULL CHECK (state IN ('pending', 'delivered', 'failed', 'missed', 'canceled')),
    -- When the next attempt is due; during an attempt, when it counts as lost.
    due_at timestamptz,
    -- The claim of the sender, which alone may record the outcome.
    claim_id uuid,
    attempts integer NOT NULL DEFAULT 0,
    -- Attempts left after the next.
    retries integer NOT NULL,
    response_status integer,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CHECK ((state = 'pending') = (due_at IS NOT NULL)),
    CHECK (claim_id IS NULL OR state = 'pending')
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_stream ON webhook_deliveries (webhook_id, stream_id, sequence)
    WHERE due_at IS NOT NULL AND stream_id IS NOT NULL;
CREATE INDEX webhook_deliveries_page ON webhook_deliveries (webhook_id, id DESC);
CREATE INDEX webhook_deliveries_undelivered ON webhook_deliveries (webhook_id, id) WHERE state IN ('failed', 'missed');
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event_id);
CALL hum.tenant_table('webhook_deliveries');
-- A purged event is not delivered, and receivers' responses to it are purged.
CREATE POLICY door ON webhook_deliveries TO hum_owner
    USING (org_id = (SELECT hum.org_id())) WITH CHECK (org_id = (SELECT hum.org_id()));

-- One attempt, recorded when it has ended.
CREATE TABLE webhook_attempts (
    delivery_id uuid NOT NULL REFERENCES webhook_deliveries ON DELETE CASCADE,
    number integer NOT NULL,
    org_id uuid NOT NULL,
    started_at timestamptz NOT NULL,
    duration_ms integer NOT NULL,
    response_status integer,
    error text,
    message text,
    -- The beginning of the response body.
    response_body bytea,
    response_type text,
    PRIMARY KEY (delivery_id, number)
);
CALL hum.tenant_table('webhook_attempts');
CREATE POLICY door ON webhook_attempts TO hum_owner
    USING (org_id = (SELECT hum.org_id())) WITH CHECK (org_id = (SELECT hum.org_id()));

-- Events per call or conversation since its organization has webhooks.
CREATE TABLE webhook_streams (
    stream_id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    sequence bigint NOT NULL,
    touched_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_streams_touched ON webhook_streams (touched_at);
CALL hum.tenant_table('webhook_streams');

CREATE FUNCTION hum.forget_deliveries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE webhook_deliveries d
       SET state = 'canceled', due_at = NULL, claim_id = NULL, error = 'deleted', ended_at = now()
      FROM changed c
     WHERE c.data IS NULL AND d.event_id = c.id AND d.state IN ('pending', 'missed', 'failed');
    UPDATE webhook_attempts a
       SET response_body = NULL
      FROM changed c
      JOIN webhook_deliveries d ON d.event_id = c.id
     WHERE c.data IS NULL AND a.delivery_id = d.id AND a.response_body IS NOT NULL;
    RETURN NULL;
END
$$;

CREATE TRIGGER forget_deliveries AFTER UPDATE ON events
    REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION hum.forget_deliveries();
