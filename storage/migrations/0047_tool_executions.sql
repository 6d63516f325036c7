-- Whatever an agent's tool does is a row, on calls, in texts and elsewhere: what it was called with and what came of it, without
-- secrets and card numbers.

ALTER TABLE tool_runs
    ADD COLUMN id uuid,
    ADD COLUMN channel text NOT NULL DEFAULT 'call' CHECK (channel IN ('call', 'text', 'event', 'test')),
    -- An agent has called it; it ran before the agent spoke; somebody tested it.
    ADD COLUMN purpose text NOT NULL DEFAULT 'agent' CHECK (purpose IN ('agent', 'hook', 'test')),
    ADD COLUMN conversation_id uuid REFERENCES conversations ON DELETE CASCADE,
    -- Of what made the agent act, where that is no call: a turn in texts, or a run for an event.
    ADD COLUMN run_id uuid,
    ADD COLUMN flow_id uuid,
    ADD COLUMN flow_version integer,
    -- Null: there is no such tool.
    ADD COLUMN kind text CHECK (kind IN ('built_in', 'http', 'crm', 'mcp')),
    ADD COLUMN tool_id uuid,
    ADD COLUMN tool_version integer,
    ADD COLUMN arguments json NOT NULL DEFAULT '{}',
    ADD COLUMN duration_ms integer,
    -- Of a person's word, for a tool that needs it.
    ADD COLUMN approval_id uuid,
    -- Of a hook: what its call's agent is told, and where among the others.
    ADD COLUMN told text,
    ADD COLUMN place integer;
SET LOCAL ROLE hum_system;
UPDATE tool_runs
   SET id = (lpad(to_hex((extract(epoch FROM started_at) * 1000)::bigint), 12, '0') || substr(md5(random()::text), 1, 20))::uuid,
       duration_ms = (extract(epoch FROM finished_at - started_at) * 1000)::integer;
SET LOCAL ROLE hum_owner;
ALTER TABLE tool_runs DROP CONSTRAINT tool_runs_pkey;
ALTER TABLE tool_runs
    ADD PRIMARY KEY (id),
    ALTER COLUMN call_id DROP NOT NULL,
    ALTER COLUMN channel DROP DEFAULT,
    ALTER COLUMN purpose DROP DEFAULT,
    ALTER COLUMN arguments DROP DEFAULT;
CREATE UNIQUE INDEX tool_runs_call ON tool_runs (call_id, tool_call_id);
DROP INDEX tool_runs_org;
CREATE INDEX tool_runs_page ON tool_runs (org_id, id DESC);
CREATE INDEX tool_runs_flow ON tool_runs (org_id, flow_id, id DESC);
CREATE INDEX tool_runs_name ON tool_runs (org_id, name, id DESC);
CREATE INDEX tool_runs_conversation ON tool_runs (conversation_id, id DESC) WHERE conversation_id IS NOT NULL;
CREATE INDEX tool_runs_age ON tool_runs (started_at);
