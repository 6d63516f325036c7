-- Roll-ups of ended calls per quarter of an hour: midnight in every time zone is a quarter's edge. A reader of the
-- events recounts changed quarters, so the roll-ups always equal a recount and can be rebuilt.

CREATE FUNCTION hum.quarter(at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT date_bin('15 minutes', at, '2000-01-01T00:00:00Z')
$$;

CREATE TABLE call_rollups (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    quarter_at timestamptz NOT NULL,
    -- All zeros: no flow.
    flow_id uuid NOT NULL,
    direction text NOT NULL,
    status text NOT NULL,
    -- Empty: unknown.
    outcome text NOT NULL,
    calls bigint NOT NULL,
    answered bigint NOT NULL,
    talk_seconds bigint NOT NULL,
    interruptions bigint NOT NULL,
    PRIMARY KEY (org_id, quarter_at, flow_id, direction, status, outcome)
);
CALL hum.tenant_table('call_rollups');
REVOKE INSERT, UPDATE, DELETE ON call_rollups FROM hum_app;

-- Callers' waits: turns per measure and band; band n holds waits of 1.1^n to 1.1^(n+1) milliseconds.
CREATE TABLE latency_rollups (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    quarter_at timestamptz NOT NULL,
    flow_id uuid NOT NULL,
    measure text NOT NULL,
    band integer NOT NULL,
    turns bigint NOT NULL,
    PRIMARY KEY (org_id, quarter_at, flow_id, measure, band)
);
CALL hum.tenant_table('latency_rollups');
REVOKE INSERT, UPDATE, DELETE ON latency_rollups FROM hum_app;

GRANT EXECUTE ON FUNCTION hum.quarter(timestamp with time zone) TO hum_app, hum_system;
