-- Outbound calls.  An order belongs to one call; each attempt at it is committed before the carrier is asked.

-- Who answered, as the carrier detected.
ALTER TABLE calls ADD COLUMN answered_by text CHECK (answered_by IN ('human', 'machine', 'screening', 'fax', 'unknown'));

-- A queued call occupies no line: there may be very many, and an inbound call counts the live ones.
DROP INDEX calls_live_org, calls_live;
CREATE INDEX calls_live ON calls (node) WHERE status IN ('ringing', 'in_progress');
CREATE INDEX calls_live_org ON calls (org_id, from_e164) WHERE status IN ('ringing', 'in_progress');

CREATE TABLE outbound_calls (
    call_id uuid PRIMARY KEY REFERENCES calls ON DELETE CASCADE,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    to_e164 text NOT NULL,
    -- The carrier's account that holds the calling number; empty: ours.
    account text NOT NULL,
    task_context text,
    scheduled_at timestamptz,
    max_attempts integer NOT NULL,
    retry_after_seconds integer NOT NULL,
    ring_seconds integer NOT NULL,
    honor_quiet_hours boolean NOT NULL,
    test boolean NOT NULL,
    -- When the next attempt is due, and what it waits for; null while one is under way, and at the end.
    due_at timestamptz,
    waits_for text CHECK (waits_for IN ('turn', 'schedule', 'retry', 'quiet_hours', 'carrier')),
    -- From when on the call could have been placed: it is not placed much later than that.
    wanted_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((due_at IS NULL) = (waits_for IS NULL))
);
-- The next one of each organization at an account.
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
    -- dialling: the carrier has been, or may be, asked.  under_way: it has the call.  Then how it ended;
    -- not_placed: the carrier refused for the moment, or, as it said twice, has no such call.
    status text NOT NULL CHECK (status IN
        ('dialling', 'under_way', 'completed', 'busy', 'no_answer', 'failed', 'canceled', 'not_placed')),
    call_sid text UNIQUE,
    carrier_code text,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When the carrier was last asked about it.
    looked_at timestamptz,
    ended_at timestamptz,
    UNIQUE (call_id, number)
);
CREATE INDEX outbound_attempts_open ON outbound_attempts (started_at) WHERE status IN ('dialling', 'under_way');
-- Nobody's phone rings twice at once.
CREATE UNIQUE INDEX outbound_attempts_callee ON outbound_attempts (org_id, to_e164)
    WHERE status IN ('dialling', 'under_way');
CREATE INDEX outbound_attempts_org ON outbound_attempts (org_id, started_at);
CREATE INDEX outbound_attempts_to ON outbound_attempts (org_id, to_e164, started_at);
CALL hum.tenant_table('outbound_attempts');

-- Whose turn it is, and which organization waits as a whole.
CREATE TABLE outbound_turns (
    org_id uuid PRIMARY KEY REFERENCES organizations ON DELETE CASCADE,
    placed_at timestamptz NOT NULL DEFAULT '-infinity',
    waits_until timestamptz NOT NULL DEFAULT '-infinity'
);
CALL hum.tenant_table('outbound_turns');

-- When each account of the carrier may be asked for the next call.  Nobody's rows: the pace is the account's.
CREATE TABLE carrier_paces (
    account text PRIMARY KEY,
    next_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON carrier_paces TO hum_system;
