-- Outbound calls: an order belongs to one call, and each attempt is committed before the carrier is asked.

CREATE TABLE outbound_calls (
    call_id uuid PRIMARY KEY REFERENCES calls ON DELETE CASCADE,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    to_e164 text NOT NULL,
    -- The carrier account that holds the calling number; empty: the deployment's.
    account text NOT NULL,
    task_context text,
    scheduled_at timestamptz,
    max_attempts integer NOT NULL,
    retry_after_seconds integer NOT NULL,
    ring_seconds integer NOT NULL,
    honor_quiet_hours boolean NOT NULL,
    test boolean NOT NULL,
    -- When the next attempt is due and what it waits for; null during an attempt and after the end.
    due_at timestamptz,
    waits_for text CHECK (waits_for IN ('turn', 'schedule', 'retry', 'quiet_hours', 'carrier')),
    -- When the call could first have been placed: it is not placed much later than that.
    wanted_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((due_at IS NULL) = (waits_for IS NULL))
);
-- The next call per account and organization.
CREATE INDEX outbound_calls_due ON outbound_calls (account, org_id, due_at, call_id) WHERE due_at IS NOT NULL;
CREATE INDEX outbound_calls_page ON outbound_calls (org_id, call_id DESC);
CREATE INDEX outbound_calls_day ON outbound_calls (org_id, created_at);
CALL hum.tenant_table('outbound_calls');

CREATE TABLE outbound_attempts (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES outbound_calls ON DELETE CASCADE,
    number integer NOT NULL,
    account text NOT NULL,
    from_e164 text NOT NULL,
    to_e164 text NOT NULL,
    -- dialling: the carrier has been, or may have been, asked. under_way: it has the call. Then the outcome;
    -- not_placed: it refused for the moment, or has twice reported no such call.
    status text NOT NULL CHECK (status IN
        ('dialling', 'under_way', 'completed', 'busy', 'no_answer', 'failed', 'canceled', 'not_placed')),
    call_sid text UNIQUE,
    carrier_code text,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When the carrier was last asked about the attempt.
    looked_at timestamptz,
    ended_at timestamptz,
    UNIQUE (call_id, number)
);
CREATE INDEX outbound_attempts_open ON outbound_attempts (started_at) WHERE status IN ('dialling', 'under_way');
-- A telephone has at most one attempt in progress.
CREATE UNIQUE INDEX outbound_attempts_callee ON outbound_attempts (org_id, to_e164)
    WHERE status IN ('dialling', 'under_way');
CREATE INDEX outbound_attempts_org ON outbound_attempts (org_id, started_at);
CREATE INDEX outbound_attempts_to ON outbound_attempts (org_id, to_e164, started_at);
CALL hum.tenant_table('outbound_attempts');

-- Round-robin of organizations, and until when an organization pauses as a whole.
CREATE TABLE outbound_turns (
    org_id uuid PRIMARY KEY REFERENCES organizations ON DELETE CASCADE,
    placed_at timestamptz NOT NULL DEFAULT '-infinity',
    waits_until timestamptz NOT NULL DEFAULT '-infinity'
);
CALL hum.tenant_table('outbound_turns');

-- When each carrier account may place its next call. No tenant table: the rate limit is the account's.
CREATE TABLE carrier_paces (
    account text PRIMARY KEY,
    next_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON carrier_paces TO hum_system;
