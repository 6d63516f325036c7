-- Agents that events start: which flows wait for which, and a run for each flow and event.

-- Of flows that events start, the types; null: none starts it.
ALTER TABLE flows ADD COLUMN trigger_events text[];
SET LOCAL ROLE hum_system;
UPDATE flows f
   SET trigger_events = ARRAY(SELECT json_array_elements_text(
           coalesce(v.definition::json -> 'trigger_events', '[]'::json)))
  FROM flow_versions v
 WHERE v.flow_id = f.id AND v.version = f.version AND v.definition::json ->> 'trigger_type' = 'TRIGGER_TYPE_EVENT';
SET LOCAL ROLE hum_owner;
CREATE INDEX flows_listening ON flows (org_id) WHERE trigger_events IS NOT NULL AND deleted_at IS NULL;

CREATE TABLE event_runs (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    flow_id uuid NOT NULL REFERENCES flows ON DELETE CASCADE,
    -- The event's public id.
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    -- How many runs led to the event, one after another; the last of them.
    depth integer NOT NULL,
    caused_by uuid,
    status text NOT NULL CHECK (status IN ('waiting', 'running', 'completed', 'failed', 'skipped')),
    -- Why it failed, or was skipped.
    reason text,
    flow_version integer,
    model text,
    attempts integer NOT NULL DEFAULT 0,
    input_tokens integer,
    output_tokens integer,
    -- What the agent wrote, and what it reported.
    result text,
    outcome json,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When something was last done for it: one whose worker has died is begun again.
    touched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    UNIQUE (flow_id, event_id),
    CHECK ((finished_at IS NULL) = (status IN ('waiting', 'running')))
);
CREATE INDEX event_runs_org ON event_runs (org_id);
CREATE INDEX event_runs_page ON event_runs (flow_id, id DESC);
CREATE INDEX event_runs_window ON event_runs (flow_id, created_at);
CREATE INDEX event_runs_event ON event_runs (event_id);
CREATE INDEX event_runs_left ON event_runs (touched_at) WHERE status = 'running';
CREATE INDEX event_runs_age ON event_runs (created_at);
CALL hum.tenant_table('event_runs');
CREATE INDEX tool_runs_run ON tool_runs (run_id, id) WHERE run_id IS NOT NULL;

-- What an agent made of an event goes with the event's payload; and so do what its runs were events of, and what these led to.
-- By whom it may be taken away: who empties events, which has a door to those of its organization already.
CREATE POLICY door ON event_runs TO hum_owner
    USING (org_id = (SELECT hum.org_id())) WITH CHECK (org_id = (SELECT hum.org_id()));
CREATE POLICY door ON tool_runs TO hum_owner
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
REVOKE EXECUTE ON FUNCTION hum.forget_event_runs() FROM public;
CREATE TRIGGER forget_event_runs AFTER UPDATE OF data ON events
    FOR EACH ROW WHEN (OLD.data IS NOT NULL AND NEW.data IS NULL) EXECUTE FUNCTION hum.forget_event_runs();
