-- Usage of calls, texts and models, its cost, and billing by Stripe.

-- One row per metered quantity of a subject. Without personal data, so it outlives the call or text.
CREATE TABLE usage_entries (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    -- The call, message, agent's turn ... that used it.
    subject_id uuid NOT NULL,
    -- Part of the subject: `stream 1`, `transfer ...`, `summary` ...; empty: the subject itself.
    part text NOT NULL,
    meter text NOT NULL,
    -- The model, or the country that determines the carrier's price; empty for a plain count.
    item text NOT NULL,
    -- All zeros: none.
    flow_id uuid NOT NULL,
    number_id uuid NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    -- Null: the call is live.
    used_at timestamptz,
    -- Estimate by the price table of its time; null: not estimated yet, or no price is known.
    estimate numeric,
    estimate_currency text,
    -- The carrier's own charge.
    price numeric,
    price_currency text,
    -- The part that is in the roll-ups; null: none.
    counted_quantity bigint,
    counted_cost numeric,
    counted_currency text,
    counted_basis text,
    PRIMARY KEY (org_id, subject_id, part, meter, item),
    CHECK ((estimate IS NULL) = (estimate_currency IS NULL)),
    CHECK ((price IS NULL) = (price_currency IS NULL))
);
CALL hum.tenant_table('usage_entries');
REVOKE DELETE ON usage_entries FROM hum_app;

-- Sums per quarter of an hour, as in `call_rollups`. A reader of the events adds what is not counted yet, so a
-- repeated event adds nothing.
CREATE TABLE usage_rollups (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    quarter_at timestamptz NOT NULL,
    flow_id uuid NOT NULL,
    number_id uuid NOT NULL,
    meter text NOT NULL,
    item text NOT NULL,
    -- Basis of the cost, and its currency (empty: unknown).
    basis text NOT NULL CHECK (basis IN ('none', 'estimate', 'carrier')),
    currency text NOT NULL,
    quantity bigint NOT NULL,
    cost numeric NOT NULL,
    PRIMARY KEY (org_id, quarter_at, flow_id, number_id, meter, item, basis, currency)
);
CALL hum.tenant_table('usage_rollups');
REVOKE INSERT, UPDATE, DELETE ON usage_rollups FROM hum_app;

-- Limits of the plans in the operator's file; no rows: the deployment has no billing and nothing is limited. Workers
-- write them at startup. Null: unlimited.
CREATE TABLE billing_plans (
    id text PRIMARY KEY,
    position integer NOT NULL,
    numbers bigint,
    minutes bigint,
    messages bigint,
    seats bigint,
    -- Offered at checkout.
    for_sale boolean NOT NULL,
    sells_seats boolean NOT NULL
);
GRANT SELECT ON billing_plans TO hum_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing_plans TO hum_system;

CREATE TABLE billing_accounts (
    org_id uuid PRIMARY KEY REFERENCES organizations ON DELETE CASCADE,
    -- Stripe's customer; null until it is known to exist.
    customer_id text UNIQUE,
    -- Failed requests to create a customer, and the last one's time: one may have succeeded.
    customer_faults integer NOT NULL DEFAULT 0,
    customer_asked_at timestamptz,
    -- The subscription as of the last fetch; null: none.
    subscription_id text,
    status text,
    -- Null: its prices belong to no plan.
    plan_id text,
    extra_seats integer NOT NULL DEFAULT 0,
    period_starts_at timestamptz,
    period_ends_at timestamptz,
    cancel_at_period_end boolean NOT NULL DEFAULT false,
    unpaid_since timestamptz,
    -- The plan is in force until then; null: it is not. The year 9999 while it is paid.
    in_force_until timestamptz,
    -- Fetches are numbered at their beginning, and a result is applied only if no later fetch's was. Each change
    -- notice is followed by a fetch, so the last change is always applied.
    fetches bigint NOT NULL DEFAULT 0,
    applied bigint NOT NULL DEFAULT 0,
    notices bigint NOT NULL DEFAULT 0,
    -- When the next fetch is due.
    fetch_at timestamptz,
    -- Since when usage is metered, when it is metered next, and until which hour it was.
    metered_from timestamptz,
    meter_at timestamptz,
    metered_until timestamptz
);
CREATE INDEX billing_accounts_fetch ON billing_accounts (fetch_at) WHERE fetch_at IS NOT NULL;
CREATE INDEX billing_accounts_meter ON billing_accounts (meter_at) WHERE meter_at IS NOT NULL;
CALL hum.tenant_table('billing_accounts');

-- A checkout at Stripe: an organization has at most one open.
CREATE TABLE billing_checkouts (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    plan_id text NOT NULL,
    extra_seats integer NOT NULL,
    return_to text NOT NULL,
    -- Null while Stripe is called; the row's id is the idempotency key, so a retry returns the same session.
    session_id text,
    url text,
    expires_at timestamptz,
    -- Null while it is open.
    ended_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX billing_checkouts_open ON billing_checkouts (org_id) WHERE ended_at IS NULL;
CALL hum.tenant_table('billing_checkouts');

-- Stripe's events about our customers: a repeated one changes nothing.
CREATE TABLE billing_events (
    id text PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    type text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX billing_events_received ON billing_events (received_at);
CREATE INDEX billing_events_org ON billing_events (org_id);
CALL hum.tenant_table('billing_events');

-- Warnings that an organization has received.
CREATE TABLE billing_warnings (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    resource text NOT NULL,
    period_starts_at timestamptz NOT NULL,
    percent integer NOT NULL,
    PRIMARY KEY (org_id, resource, period_starts_at, percent)
);
CALL hum.tenant_table('billing_warnings');

-- Quantity per hour at Stripe's meters, and the pending update.
CREATE TABLE billing_meter_hours (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    resource text NOT NULL,
    hour_at timestamptz NOT NULL,
    -- Confirmed by Stripe.
    quantity bigint NOT NULL DEFAULT 0,
    -- Number of the next update, part of its identifier.
    sequence integer NOT NULL DEFAULT 0,
    -- In flight since then; null: nothing is.
    sending bigint,
    sending_at timestamptz,
    PRIMARY KEY (org_id, resource, hour_at),
    CHECK ((sending IS NULL) = (sending_at IS NULL))
);
CREATE INDEX billing_meter_hours_sending ON billing_meter_hours (sending_at) WHERE sending IS NOT NULL;
CALL hum.tenant_table('billing_meter_hours');
