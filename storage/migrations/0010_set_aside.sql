-- What could not be handled is put aside with its reason, and everything behind it goes on.

CREATE TABLE events_set_aside (
    reader text NOT NULL,
    event_id bigint NOT NULL REFERENCES events ON DELETE CASCADE,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (reader, event_id)
);
GRANT SELECT, INSERT, DELETE ON events_set_aside TO hum_system;

-- Reports of the media plane, as they came (hum.v1.Report).
CREATE TABLE reports_set_aside (
    node text NOT NULL,
    batch_seq bigint NOT NULL,
    place integer NOT NULL,
    report bytea NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node, batch_seq, place)
);
CREATE INDEX reports_set_aside_at ON reports_set_aside (at);
GRANT SELECT, INSERT, DELETE ON reports_set_aside TO hum_system;

-- What the agents' tools did: one row for each time that a model called one.
CREATE TABLE tool_runs (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    -- The model's id of the function call: asked again, it is the same run.
    tool_call_id text NOT NULL,
    name text NOT NULL,
    status text NOT NULL CHECK (status IN ('running', 'ok', 'failed')),
    output json,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (call_id, tool_call_id)
);
CREATE INDEX tool_runs_org ON tool_runs (org_id, started_at DESC);
CALL hum.tenant_table('tool_runs');
