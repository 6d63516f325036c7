-- Who follows an organization is told of its tools, MCP servers and CRM connectors too, and which flow has others of them now.

-- Of a row that belongs to something: it is that which has changed.  Its arguments: the kind of that, and the column that names it.
CREATE FUNCTION hum.tell_owner() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    part jsonb := CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
BEGIN
    INSERT INTO inbox_changes (org_id, kind, thing_id)
    VALUES ((part ->> 'org_id')::uuid, TG_ARGV[0], (part ->> TG_ARGV[1])::uuid);
    RETURN NULL;
END
$$;

CREATE TRIGGER http_tools_made AFTER INSERT ON http_tools FOR EACH ROW EXECUTE FUNCTION hum.tell_change('tool');
CREATE TRIGGER http_tools_changed AFTER UPDATE ON http_tools
    FOR EACH ROW WHEN ((OLD.name, OLD.version, OLD.updated_at) IS DISTINCT FROM (NEW.name, NEW.version, NEW.updated_at))
    EXECUTE FUNCTION hum.tell_change('tool');
CREATE TRIGGER http_tools_gone AFTER DELETE ON http_tools FOR EACH ROW EXECUTE FUNCTION hum.tell_gone('tool');

CREATE TRIGGER mcp_servers_made AFTER INSERT ON mcp_servers FOR EACH ROW EXECUTE FUNCTION hum.tell_change('mcp_server');
-- That it was tried without another result is no change.
CREATE TRIGGER mcp_servers_changed AFTER UPDATE ON mcp_servers
    FOR EACH ROW WHEN ((OLD.updated_at, OLD.revision, OLD.failure, OLD.refreshed_at)
                       IS DISTINCT FROM
                       (NEW.updated_at, NEW.revision, NEW.failure, NEW.refreshed_at))
    EXECUTE FUNCTION hum.tell_change('mcp_server');
CREATE TRIGGER mcp_servers_gone AFTER DELETE ON mcp_servers FOR EACH ROW EXECUTE FUNCTION hum.tell_gone('mcp_server');
CREATE TRIGGER mcp_tools_told AFTER UPDATE ON mcp_tools
    FOR EACH ROW WHEN ((OLD.state, OLD.now_hash) IS DISTINCT FROM (NEW.state, NEW.now_hash))
    EXECUTE FUNCTION hum.tell_owner('mcp_server', 'server_id');

CREATE TRIGGER crm_connectors_made AFTER INSERT ON crm_connectors FOR EACH ROW EXECUTE FUNCTION hum.tell_change('crm_connector');
-- Not each failure in a row: what is shown of them.
CREATE TRIGGER crm_connectors_changed AFTER UPDATE ON crm_connectors
    FOR EACH ROW WHEN ((OLD.updated_at, OLD.position, OLD.failing_since, OLD.failure, OLD.rests_until)
                       IS DISTINCT FROM
                       (NEW.updated_at, NEW.position, NEW.failing_since, NEW.failure, NEW.rests_until))
    EXECUTE FUNCTION hum.tell_change('crm_connector');
CREATE TRIGGER crm_connectors_gone AFTER DELETE ON crm_connectors FOR EACH ROW EXECUTE FUNCTION hum.tell_gone('crm_connector');

CREATE TRIGGER flow_tools_told AFTER INSERT OR UPDATE OR DELETE ON flow_tools
    FOR EACH ROW EXECUTE FUNCTION hum.tell_owner('flow', 'flow_id');
CREATE TRIGGER mcp_flows_told AFTER INSERT OR DELETE ON mcp_flows FOR EACH ROW EXECUTE FUNCTION hum.tell_owner('flow', 'flow_id');
