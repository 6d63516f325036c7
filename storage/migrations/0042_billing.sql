-- Billing: plans, the subscription of each organization as Stripe has it, and what Stripe's meters were told.

-- What plans allow, as the operator's file has them; no rows: this deployment has no billing, and nothing is limited.  Workers
-- write them when they start.  Null: not limited.
CREATE TABLE billing_plans (
    id text PRIMARY KEY,
    position integer NOT NULL,
    numbers bigint,
    minutes bigint,
    messages bigint,
    seats bigint,
    -- A checkout may name it.
    for_sale boolean NOT NULL,
    sells_seats boolean NOT NULL
);
GRANT SELECT ON billing_plans TO hum_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing_plans TO hum_system;

CREATE TABLE billing_accounts (
    org_id uuid PRIMARY KEY REFERENCES organizations ON DELETE CASCADE,
    -- Stripe's customer; null until it is known to exist.
    customer_id text UNIQUE,
    -- Requests for a customer that failed, and the last one's time: it may exist nevertheless.
    customer_faults integer NOT NULL DEFAULT 0,
    customer_asked_at timestamptz,

    -- The subscription, as the last fetch found it; null: none.
    subscription_id text,
    status text,
    -- Null: its prices are in no plan.
    plan_id text,
    extra_seats integer NOT NULL DEFAULT 0,
    period_starts_at timestamptz,
    period_ends_at timestamptz,
    cancel_at_period_end boolean NOT NULL DEFAULT false,
    unpaid_since timestamptz,
    -- Its plan is in force until then; null: it is not.  The year 9999 while it is paid.
    in_force_until timestamptz,

    -- Fetches are numbered when they begin, and only one that began later replaces what another found: each notice of a change has a
    -- fetch that began after it, so whatever order they end in, the last change is seen.
    fetches bigint NOT NULL DEFAULT 0,
    applied bigint NOT NULL DEFAULT 0,
    notices bigint NOT NULL DEFAULT 0,
    -- When it is fetched next.
    fetch_at timestamptz,

    -- Since when its usage is metered, when it is looked at next, and up to when hours were.
    metered_from timestamptz,
    meter_at timestamptz,
    metered_until timestamptz
);
CREATE INDEX billing_accounts_fetch ON billing_accounts (fetch_at) WHERE fetch_at IS NOT NULL;
CREATE INDEX billing_accounts_meter ON billing_accounts (meter_at) WHERE meter_at IS NOT NULL;
CALL hum.tenant_table('billing_accounts');

-- A way to Stripe's page that is open: an organization has at most one.
CREATE TABLE billing_checkouts (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    plan_id text NOT NULL,
    extra_seats integer NOT NULL,
    return_to text NOT NULL,
    -- Null while Stripe is asked; its id is the request's idempotency key, so whoever asks again gets the same.
    session_id text,
    url text,
    expires_at timestamptz,
    -- Null: it may be used.
    ended_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX billing_checkouts_open ON billing_checkouts (org_id) WHERE ended_at IS NULL;
CALL hum.tenant_table('billing_checkouts');

-- Stripe's events that are about a customer of ours: one that comes again changes nothing.
CREATE TABLE billing_events (
    id text PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    type text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX billing_events_received ON billing_events (received_at);
CREATE INDEX billing_events_org ON billing_events (org_id);
CALL hum.tenant_table('billing_events');

-- Which warnings an organization has had.
CREATE TABLE billing_warnings (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    resource text NOT NULL,
    period_starts_at timestamptz NOT NULL,
    percent integer NOT NULL,
    PRIMARY KEY (org_id, resource, period_starts_at, percent)
);
CALL hum.tenant_table('billing_warnings');

-- What Stripe's meters know of an hour, and what they are being told.
CREATE TABLE billing_meter_hours (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    resource text NOT NULL,
    hour_at timestamptz NOT NULL,
    -- Which Stripe has confirmed.
    quantity bigint NOT NULL DEFAULT 0,
    -- How many times it was told something: the number of the next, part of its identifier.
    sequence integer NOT NULL DEFAULT 0,
    -- On its way since then; null: nothing is.
    sending bigint,
    sending_at timestamptz,
    PRIMARY KEY (org_id, resource, hour_at),
    CHECK ((sending IS NULL) = (sending_at IS NULL))
);
CREATE INDEX billing_meter_hours_sending ON billing_meter_hours (sending_at) WHERE sending IS NOT NULL;
CALL hum.tenant_table('billing_meter_hours');

-- Texts that wait, of an organization: they count as what its plan allows.
CREATE INDEX messages_due_organization ON messages (org_id, due_at) WHERE due_at IS NOT NULL;
