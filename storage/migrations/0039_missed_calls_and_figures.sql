-- Whoever calls a number and reaches nobody gets its text, if it has one.
ALTER TABLE numbers ADD COLUMN missed_call_text text;

-- The missed call that a text answers.
ALTER TABLE messages ADD COLUMN call_id uuid REFERENCES calls ON DELETE SET NULL;
CREATE UNIQUE INDEX messages_call ON messages (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX messages_of_calls ON messages (org_id, contact_e164, created_at) WHERE call_id IS NOT NULL;

-- What figures by tag count of ended calls, with what decides who sees a call: from the index alone, as a call's row is wide.
CREATE INDEX calls_figures ON calls (org_id, created_at)
    INCLUDE (id, flow_id, agent_flow_id, number_id, answered_at, ended_at) WHERE ended_at IS NOT NULL;
