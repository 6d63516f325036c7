-- Runs of agents that events start: one per flow and event.

CREATE TABLE event_runs (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    flow_id uuid NOT NULL REFERENCES flows ON DELETE CASCADE,
    -- The event's public id.
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    -- Length of the chain of runs that led to the event, and the last of them.
    depth integer NOT NULL,
    caused_by uuid,
    status text NOT NULL CHECK (status IN ('waiting', 'running', 'waiting_for_approval', 'completed', 'failed', 'skipped')),
    -- Why it failed or was skipped.
    reason text,
    flow_version integer,
    model text,
    attempts integer NOT NULL DEFAULT 0,
    input_tokens integer,
    output_tokens integer,
    -- The agent's text and its report.
    result text,
    outcome json,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Heartbeat: a run without one for a while is claimed by another worker.
    touched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    -- When it last resumed: the results of earlier tool runs are in the agent's context.
    resumed_at timestamptz,
    UNIQUE (flow_id, event_id),
    CHECK ((finished_at IS NULL) = (status IN ('waiting', 'running', 'waiting_for_approval')))
);
CREATE INDEX event_runs_org ON event_runs (org_id);
CREATE INDEX event_runs_page ON event_runs (flow_id, id DESC);
CREATE INDEX event_runs_window ON event_runs (flow_id, created_at);
CREATE INDEX event_runs_event ON event_runs (event_id);
CREATE INDEX event_runs_left ON event_runs (touched_at) WHERE status = 'running';
CREATE INDEX event_runs_age ON event_runs (created_at);
CALL hum.tenant_table('event_runs');
-- A run is purged with its event's payload, and so are its own events and the runs that these started.
-- For functions that purge events, which run as the owner within one organization.
CREATE POLICY door ON event_runs TO hum_owner
    USING (org_id = (SELECT hum.org_id())) WITH CHECK (org_id = (SELECT hum.org_id()));

CREATE FUNCTION hum.forget_event_runs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    DELETE FROM tool_runs t USING event_runs r
     WHERE r.event_id = NEW.public_id AND r.org_id = NEW.org_id AND t.run_id = r.id AND t.org_id = r.org_id;
    UPDATE events e SET data = NULL FROM event_runs r
     WHERE r.event_id = NEW.public_id AND r.org_id = NEW.org_id
       AND e.subject_id = r.id AND e.org_id = r.org_id AND e.data IS NOT NULL;
    DELETE FROM event_runs WHERE event_id = NEW.public_id AND org_id = NEW.org_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER forget_event_runs AFTER UPDATE OF data ON events
    FOR EACH ROW WHEN (OLD.data IS NOT NULL AND NEW.data IS NULL) EXECUTE FUNCTION hum.forget_event_runs();

REVOKE EXECUTE ON FUNCTION hum.forget_event_runs() FROM public;
