-- HTTP tools: requests to customers' systems that agents make, or that are made while a call's greeting plays.

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
    -- The names of the secrets that it writes into its requests.
    secrets text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tool_id, version)
);
CREATE INDEX http_tool_versions_org ON http_tool_versions (org_id);
CALL hum.tenant_table('http_tool_versions');

-- What a flow's agent has besides HUM's own tools, and what runs before it speaks.  Null: as the tool has it.
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
    -- The only one that gets it.
    host text NOT NULL,
    secret bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (org_id, name)
);
CREATE INDEX tool_secrets_page ON tool_secrets (org_id, id DESC);
CALL hum.tenant_table('tool_secrets');
