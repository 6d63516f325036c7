-- A transfer of a call to a person's telephone, from the moment at which the carrier is told to ring it.
CREATE TABLE transfers (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    id uuid PRIMARY KEY,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    -- As the flow's transfer map names the target; null: a number that a person gave.
    label text,
    to_e164 text NOT NULL,
    -- What the person sees.
    caller_id_e164 text NOT NULL,
    -- `agent`, or a key or person as in the audit log.
    asked_by text NOT NULL,
    summary text NOT NULL,
    ring_seconds integer NOT NULL,
    -- Whether whoever answers hears something first, and must press a key.
    whispers boolean NOT NULL,
    needs_key boolean NOT NULL,
    unanswered text NOT NULL CHECK (unanswered IN ('agent', 'voicemail')),
    state text NOT NULL CHECK (state IN ('ringing', 'answered', 'connected', 'completed', 'busy', 'no_answer',
                                         'not_accepted', 'failed', 'canceled')),
    started_at timestamptz NOT NULL,
    answered_at timestamptz,
    connected_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX transfers_call ON transfers (call_id, started_at);
-- A call is in one dial at a time.
CREATE UNIQUE INDEX transfers_active ON transfers (call_id) WHERE ended_at IS NULL;
CALL hum.tenant_table('transfers');
