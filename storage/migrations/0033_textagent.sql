-- The AI's turns in conversations.

CREATE TABLE text_runs (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    status text NOT NULL CHECK (status IN ('waiting', 'running', 'replied', 'silent', 'handed_over')),
    -- Why it is silent, or a person has the conversation.
    reason text,
    flow_id uuid,
    flow_version integer,
    model text,
    -- Whether the model was, or may have been, asked.
    asked boolean NOT NULL DEFAULT false,
    attempts integer NOT NULL DEFAULT 0,
    input_tokens integer,
    output_tokens integer,
    tool_calls json NOT NULL DEFAULT '[]',
    outcome json,
    message_id uuid REFERENCES messages ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When something was last done for it: one that nobody works on is begun again.
    touched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    CHECK ((finished_at IS NULL) = (status IN ('waiting', 'running')))
);
-- A conversation has one turn at a time.
CREATE UNIQUE INDEX text_runs_live ON text_runs (conversation_id) WHERE finished_at IS NULL;
CREATE INDEX text_runs_thread ON text_runs (conversation_id, id DESC);
CREATE INDEX text_runs_asked ON text_runs (org_id, created_at) WHERE asked;
CREATE INDEX text_runs_left ON text_runs (touched_at) WHERE finished_at IS NULL;
CREATE INDEX text_runs_message ON text_runs (message_id) WHERE message_id IS NOT NULL;
CALL hum.tenant_table('text_runs');
