-- MCP servers: other systems' tools for agents.  A tool is kept as somebody accepted it, and as the server has it now.

CREATE TABLE mcp_servers (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name text NOT NULL,
    -- What its tools' names begin with.
    slug text NOT NULL,
    transport text NOT NULL CHECK (transport IN ('streamable_http', 'sse')),
    url text NOT NULL,
    sealed_headers bytea,
    sealed_bearer bytea,
    oauth_token_url text,
    oauth_client_id text,
    sealed_oauth_secret bytea,
    oauth_scope text,
    -- Null: all of them.
    allowed_tools text[],
    auto_approve_tools text[] NOT NULL,
    require_approval boolean NOT NULL,
    enabled boolean NOT NULL,
    timeout_ms integer NOT NULL,
    -- Another one: whoever has a connection by the settings from before makes a new one.
    revision integer NOT NULL DEFAULT 1,
    -- Whether the next tools that are read are accepted as they are: the first ones.
    trusts_next boolean NOT NULL DEFAULT true,
    failure text,
    -- When its tools were last asked for, and when they came.
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
    -- As it was accepted.
    description text,
    schema text,
    hash text,
    -- As the server has it.
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

-- Which flows' agents have which servers' tools.
CREATE TABLE mcp_flows (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    flow_id uuid NOT NULL REFERENCES flows ON DELETE CASCADE,
    server_id uuid NOT NULL REFERENCES mcp_servers ON DELETE CASCADE,
    PRIMARY KEY (flow_id, server_id)
);
CREATE INDEX mcp_flows_server ON mcp_flows (server_id);
CREATE INDEX mcp_flows_org ON mcp_flows (org_id);
CALL hum.tenant_table('mcp_flows');
