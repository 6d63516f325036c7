-- The agent that has a call now, if it is not the one that the call began with, and all that took it over, in order.
ALTER TABLE calls ADD COLUMN agent_flow_id uuid REFERENCES flows;
ALTER TABLE calls ADD COLUMN agent_flow_version integer;
ALTER TABLE calls ADD COLUMN flow_switches json NOT NULL DEFAULT '[]';
ALTER TABLE calls ADD CHECK ((agent_flow_id IS NULL) = (agent_flow_version IS NULL));
-- The agent that has the call after this run; null: the same.
ALTER TABLE tool_runs ADD COLUMN switches_to uuid;
ALTER TABLE tool_runs ADD COLUMN switches_to_version integer;
