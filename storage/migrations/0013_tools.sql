-- Tools of agents: their runs, HTTP tools, MCP servers, approvals.

CREATE TABLE tool_runs (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid REFERENCES calls ON DELETE CASCADE,
    -- The model's id of the tool call: the same id is the same run.
    tool_call_id text NOT NULL,
    name text NOT NULL,
    status text NOT NULL CHECK (status IN ('running', 'ok', 'failed')),
    output json,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    -- Reason with which the call leaves its stream after this run; null: it stays.
    leaves text,
    -- The agent after this run; null: unchanged.
    switches_to uuid,
    switches_to_version integer,
    -- DTMF digits to send after this run; null: none.
    digits text,
    -- One row per tool run on any channel: arguments and result, without secrets and card numbers.
    id uuid,
    channel text NOT NULL CHECK (channel IN ('call', 'text', 'event', 'test')),
    -- Called by an agent, run before the greeting, or tested by a person.
    purpose text NOT NULL CHECK (purpose IN ('agent', 'hook', 'test')),
    conversation_id uuid REFERENCES conversations ON DELETE CASCADE,
    -- The agent's turn in texts, or the run for an event; null on calls.
    run_id uuid,
    flow_id uuid,
    flow_version integer,
    -- Null: the tool does not exist.
    kind text CHECK (kind IN ('built_in', 'http', 'crm', 'mcp')),
    tool_id uuid,
    tool_version integer,
    arguments json NOT NULL,
    duration_ms integer,
    -- The person's approval, for a tool that requires it.
    approval_id uuid,
    -- Of a hook: the text for the agent, and its position among the hooks.
    told text,
    place integer,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX tool_runs_call ON tool_runs (call_id, tool_call_id);
CREATE INDEX tool_runs_page ON tool_runs (org_id, id DESC);
CREATE INDEX tool_runs_flow ON tool_runs (org_id, flow_id, id DESC);
CREATE INDEX tool_runs_name ON tool_runs (org_id, name, id DESC);
CREATE INDEX tool_runs_conversation ON tool_runs (conversation_id, id DESC) WHERE conversation_id IS NOT NULL;
CREATE INDEX tool_runs_age ON tool_runs (started_at);
CREATE INDEX tool_runs_run ON tool_runs (run_id, id) WHERE run_id IS NOT NULL;
CALL hum.tenant_table('tool_runs');
CREATE POLICY door ON tool_runs TO hum_owner
    USING (org_id = (SELECT hum.org_id())) WITH CHECK (org_id = (SELECT hum.org_id()));

-- HTTP tools: requests to customers' systems that agents make, or that hooks make during a call's greeting.

CREATE TABLE http_tools (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name text NOT NULL,
    version integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (org_id, name)
);
CREATE INDEX http_tools_page ON http_tools (org_id, id DESC);
CALL hum.tenant_table('http_tools');

CREATE TABLE http_tool_versions (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    tool_id uuid NOT NULL REFERENCES http_tools ON DELETE CASCADE,
    version integer NOT NULL,
    definition json NOT NULL,
    -- Names of the secrets that its requests contain.
    secrets text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tool_id, version)
);
CREATE INDEX http_tool_versions_org ON http_tool_versions (org_id);
CALL hum.tenant_table('http_tool_versions');

-- Tools and hooks of a flow's agent besides the built-in ones. Null: the tool's own setting.
CREATE TABLE flow_tools (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    flow_id uuid NOT NULL REFERENCES flows ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('http', 'crm')),
    mode text NOT NULL CHECK (mode IN ('in_call', 'pre_call')),
    tool_id uuid REFERENCES http_tools ON DELETE CASCADE,
    connector_id uuid REFERENCES crm_connectors ON DELETE CASCADE,
    enabled boolean NOT NULL,
    place integer NOT NULL,
    version integer,
    name text,
    description text,
    arguments json,
    output_template text,
    fallback_template text,
    timeout_ms integer,
    requires_approval boolean,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (num_nonnulls(tool_id, connector_id) = 1 AND (kind = 'http') = (tool_id IS NOT NULL)),
    CHECK (kind = 'http' OR mode = 'pre_call')
);
CREATE INDEX flow_tools_flow ON flow_tools (flow_id, place, id);
CREATE INDEX flow_tools_tool ON flow_tools (tool_id) WHERE tool_id IS NOT NULL;
CREATE INDEX flow_tools_connector ON flow_tools (connector_id) WHERE connector_id IS NOT NULL;
CREATE INDEX flow_tools_org ON flow_tools (org_id);
CALL hum.tenant_table('flow_tools');

CREATE TABLE tool_secrets (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name text NOT NULL,
    -- The only host that receives the secret.
    host text NOT NULL,
    secret bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (org_id, name)
);
CREATE INDEX tool_secrets_page ON tool_secrets (org_id, id DESC);
CALL hum.tenant_table('tool_secrets');

-- MCP servers, and their tools as accepted and as listed now.

CREATE TABLE mcp_servers (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name text NOT NULL,
    -- Prefix of its tools' names.
    slug text NOT NULL,
    transport text NOT NULL CHECK (transport IN ('streamable_http', 'sse')),
    url text NOT NULL,
    sealed_headers bytea,
    sealed_bearer bytea,
    oauth_token_url text,
    oauth_client_id text,
    sealed_oauth_secret bytea,
    oauth_scope text,
    -- Null: all tools.
    allowed_tools text[],
    auto_approve_tools text[] NOT NULL,
    require_approval boolean NOT NULL,
    enabled boolean NOT NULL,
    timeout_ms integer NOT NULL,
    -- Incremented when the settings change: clients with an earlier revision reconnect.
    revision integer NOT NULL DEFAULT 1,
    -- Whether the next tool list is accepted as it is: the first one is.
    trusts_next boolean NOT NULL DEFAULT true,
    failure text,
    -- When the tool list was last requested, and last received.
    tried_at timestamptz,
    refreshed_at timestamptz,
    protocol_version text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (org_id, slug)
);
CREATE INDEX mcp_servers_tried ON mcp_servers (tried_at NULLS FIRST) WHERE enabled;
CALL hum.tenant_table('mcp_servers');

CREATE TABLE mcp_tools (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    server_id uuid NOT NULL REFERENCES mcp_servers ON DELETE CASCADE,
    name text NOT NULL,
    model_name text NOT NULL,
    state text NOT NULL CHECK (state IN ('accepted', 'new', 'changed', 'gone', 'invalid')),
    -- As accepted.
    description text,
    schema text,
    hash text,
    -- As listed by the server.
    now_description text NOT NULL,
    now_schema text,
    now_hash text NOT NULL,
    reason text,
    accepted_by text,
    accepted_at timestamptz,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (server_id, name),
    CHECK (num_nonnulls(description, schema, hash) IN (0, 3)),
    CHECK (state <> 'accepted' OR hash = now_hash)
);
CREATE UNIQUE INDEX mcp_tools_model_name ON mcp_tools (org_id, model_name);
CALL hum.tenant_table('mcp_tools');

-- Servers of each flow's agent.
CREATE TABLE mcp_flows (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    flow_id uuid NOT NULL REFERENCES flows ON DELETE CASCADE,
    server_id uuid NOT NULL REFERENCES mcp_servers ON DELETE CASCADE,
    PRIMARY KEY (flow_id, server_id)
);
CREATE INDEX mcp_flows_server ON mcp_flows (server_id);
CREATE INDEX mcp_flows_org ON mcp_flows (org_id);
CALL hum.tenant_table('mcp_flows');

-- Approvals of tool runs: a row from the request until the agent has its outcome.

CREATE TABLE approvals (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid REFERENCES calls ON DELETE CASCADE,
    conversation_id uuid REFERENCES conversations ON DELETE CASCADE,
    -- The text agent's turn that requested it.
    run_id uuid,
    flow_id uuid NOT NULL,
    flow_version integer NOT NULL,
    tool text NOT NULL,
    summary text NOT NULL,
    arguments text NOT NULL,
    schema text NOT NULL,
    state text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'approved', 'done', 'failed', 'denied', 'expired', 'void')),
    edited boolean NOT NULL DEFAULT false,
    decided_by text,
    decided_at timestamptz,
    reason text,
    -- When the run began: it begins at most once.
    begun_at timestamptz,
    result text,
    told_at timestamptz,
    expires_at timestamptz NOT NULL,
    -- Heartbeat: an approval without one for a while is claimed by another worker.
    touched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Transaction of the last change, for followers.
    changed_xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Identity of the tool at the request: an approval does not carry over to another tool of the same name.
    origin text NOT NULL DEFAULT '',
    event_run_id uuid REFERENCES event_runs ON DELETE CASCADE,
    CHECK (num_nonnulls(call_id, conversation_id, event_run_id) = 1),
    CHECK ((state = 'pending') = (decided_at IS NULL))
);
CREATE INDEX approvals_page ON approvals (org_id, id DESC);
CREATE INDEX approvals_changes ON approvals (org_id, changed_xid, id);
CREATE INDEX approvals_call ON approvals (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX approvals_conversation ON approvals (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX approvals_pending ON approvals (expires_at) WHERE state = 'pending';
CREATE INDEX approvals_owed ON approvals (touched_at)
    WHERE state IN ('approved', 'done', 'failed', 'denied', 'expired') AND told_at IS NULL;
CREATE INDEX approvals_age ON approvals (created_at);
CREATE INDEX approvals_event_run ON approvals (event_run_id) WHERE event_run_id IS NOT NULL;
CALL hum.tenant_table('approvals');

CREATE FUNCTION hum.approval_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_xid := pg_current_xact_id();
    RETURN NEW;
END
$$;

CREATE TRIGGER approvals_changed BEFORE INSERT OR UPDATE OF state, result, told_at ON approvals
    FOR EACH ROW EXECUTE FUNCTION hum.approval_changed();
