-- Live updates of the console: changed rows, published by triggers.

-- Changes for followers of an organization: a row names what changed and contains nothing of it. Rows are written by
-- triggers, so that no writer can omit one, and pruned after a while.
CREATE TABLE inbox_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id uuid NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    conversation_id uuid,
    message_id uuid,
    made boolean NOT NULL DEFAULT false,
    changed_at timestamptz NOT NULL DEFAULT now(),
    campaign_id uuid,
    kind text,
    thing_id uuid,
    CHECK (
    num_nonnulls(conversation_id, message_id, campaign_id, thing_id) = 1 AND (kind IS NULL) = (thing_id IS NULL))
);
CREATE INDEX inbox_changes_org ON inbox_changes (org_id, xid, id);
CREATE INDEX inbox_changes_age ON inbox_changes (changed_at);
CALL hum.tenant_table('inbox_changes');
-- For the owner: a foreign key's SET NULL runs as the owner.
CREATE POLICY door ON inbox_changes FOR INSERT TO hum_owner WITH CHECK (true);
REVOKE UPDATE, DELETE ON inbox_changes FROM hum_app;

-- Changes up to this transaction were pruned.
CREATE TABLE inbox_floor (
    xid xid8 NOT NULL
);
GRANT SELECT ON inbox_floor TO hum_app;
GRANT SELECT, UPDATE ON inbox_floor TO hum_system;
INSERT INTO inbox_floor VALUES ('0');

-- Followers poll several times a second: a NOTIFY would take a lock that serializes all notifying commits.
CREATE FUNCTION hum.tell_media() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, message_id) VALUES (NEW.org_id, NEW.message_id);
    RETURN NULL;
END
$$;

-- Publish an opt-out's change with the contact's conversations.
CREATE FUNCTION hum.tell_opt_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, conversation_id)
    SELECT c.org_id, c.id FROM conversations c WHERE c.org_id = NEW.org_id AND c.contact_e164 = NEW.contact_e164;
    RETURN NULL;
END
$$;

CREATE FUNCTION hum.tell_contact() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, conversation_id)
    SELECT c.org_id, c.id FROM conversations c WHERE c.contact_id = NEW.id;
    RETURN NULL;
END
$$;

CREATE FUNCTION hum.tell_campaign() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, campaign_id) VALUES (NEW.org_id, NEW.id);
    RETURN NULL;
END
$$;

CREATE FUNCTION hum.tell_counts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, campaign_id) VALUES (NEW.org_id, NEW.campaign_id);
    RETURN NULL;
END
$$;

CREATE FUNCTION hum.tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, kind, thing_id, made) VALUES (NEW.org_id, TG_ARGV[0], NEW.id, TG_OP = 'INSERT');
    RETURN NULL;
END
$$;

CREATE FUNCTION hum.tell_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, kind, thing_id) VALUES (OLD.org_id, TG_ARGV[0], OLD.id);
    RETURN NULL;
END
$$;

CREATE FUNCTION hum.tell_tagged() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    tagged call_tags := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    INSERT INTO inbox_changes (org_id, kind, thing_id) VALUES (tagged.org_id, 'call', tagged.call_id);
    RETURN NULL;
END
$$;

-- Publish the owner of a changed row. Arguments: the owner's kind, and the column that names it.
CREATE FUNCTION hum.tell_owner() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    part jsonb := CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
BEGIN
    INSERT INTO inbox_changes (org_id, kind, thing_id)
    VALUES ((part ->> 'org_id')::uuid, TG_ARGV[0], (part ->> TG_ARGV[1])::uuid);
    RETURN NULL;
END
$$;

CREATE TRIGGER message_media_tell AFTER UPDATE OF status ON message_media
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION hum.tell_media();
CREATE TRIGGER opt_outs_tell AFTER INSERT OR UPDATE OF opted_out ON opt_outs
    FOR EACH ROW EXECUTE FUNCTION hum.tell_opt_out();
CREATE TRIGGER contacts_tell AFTER UPDATE OF name, company ON contacts
    FOR EACH ROW WHEN ((OLD.name, OLD.company) IS DISTINCT FROM (NEW.name, NEW.company))
    EXECUTE FUNCTION hum.tell_contact();
CREATE TRIGGER campaigns_tell AFTER INSERT ON campaigns FOR EACH ROW EXECUTE FUNCTION hum.tell_campaign();
CREATE TRIGGER campaigns_tell_change AFTER UPDATE ON campaigns
    FOR EACH ROW WHEN ((OLD.name, OLD.status, OLD.reason, OLD.launched_at) IS DISTINCT FROM
                       (NEW.name, NEW.status, NEW.reason, NEW.launched_at))
    EXECUTE FUNCTION hum.tell_campaign();
CREATE TRIGGER campaign_counts_tell AFTER INSERT OR UPDATE ON campaign_counts FOR EACH ROW EXECUTE FUNCTION hum.tell_counts();
CREATE TRIGGER calls_made AFTER INSERT ON calls FOR EACH ROW EXECUTE FUNCTION hum.tell_change('call');
-- Only what lists show of a call.
CREATE TRIGGER calls_changed AFTER UPDATE ON calls
    FOR EACH ROW WHEN (
        (OLD.status, OLD.number_id, OLD.flow_id, OLD.contact_id, OLD.answered_at, OLD.ended_at, OLD.end_reason, OLD.outcome_label,
         OLD.summary IS NULL, OLD.caller_verification, OLD.answered_by)
        IS DISTINCT FROM
        (NEW.status, NEW.number_id, NEW.flow_id, NEW.contact_id, NEW.answered_at, NEW.ended_at, NEW.end_reason, NEW.outcome_label,
         NEW.summary IS NULL, NEW.caller_verification, NEW.answered_by))
    EXECUTE FUNCTION hum.tell_change('call');
CREATE TRIGGER calls_gone AFTER DELETE ON calls FOR EACH ROW EXECUTE FUNCTION hum.tell_gone('call');
CREATE TRIGGER call_tags_told AFTER INSERT OR DELETE ON call_tags FOR EACH ROW EXECUTE FUNCTION hum.tell_tagged();
CREATE TRIGGER voicemails_made AFTER INSERT ON voicemails FOR EACH ROW EXECUTE FUNCTION hum.tell_change('voicemail');
CREATE TRIGGER voicemails_changed AFTER UPDATE ON voicemails
    FOR EACH ROW WHEN ((OLD.duration_ms, OLD.transcript, OLD.heard_at, OLD.heard_by, OLD.deleted_at)
                       IS DISTINCT FROM
                       (NEW.duration_ms, NEW.transcript, NEW.heard_at, NEW.heard_by, NEW.deleted_at))
    EXECUTE FUNCTION hum.tell_change('voicemail');
CREATE TRIGGER voicemails_gone AFTER DELETE ON voicemails FOR EACH ROW EXECUTE FUNCTION hum.tell_gone('voicemail');
CREATE TRIGGER approvals_made AFTER INSERT ON approvals FOR EACH ROW EXECUTE FUNCTION hum.tell_change('approval');
CREATE TRIGGER approvals_told AFTER UPDATE ON approvals
    FOR EACH ROW WHEN ((OLD.state, OLD.arguments, OLD.result, OLD.told_at) IS DISTINCT FROM (NEW.state, NEW.arguments, NEW.result, NEW.told_at))
    EXECUTE FUNCTION hum.tell_change('approval');
CREATE TRIGGER approvals_gone AFTER DELETE ON approvals FOR EACH ROW EXECUTE FUNCTION hum.tell_gone('approval');
CREATE TRIGGER conversations_gone AFTER DELETE ON conversations FOR EACH ROW EXECUTE FUNCTION hum.tell_gone('conversation');
CREATE TRIGGER campaigns_gone AFTER DELETE ON campaigns FOR EACH ROW EXECUTE FUNCTION hum.tell_gone('campaign');
CREATE TRIGGER flows_made AFTER INSERT ON flows FOR EACH ROW EXECUTE FUNCTION hum.tell_change('flow');
CREATE TRIGGER flows_changed AFTER UPDATE ON flows
    FOR EACH ROW WHEN ((OLD.version, OLD.deleted_at) IS DISTINCT FROM (NEW.version, NEW.deleted_at))
    EXECUTE FUNCTION hum.tell_change('flow');
CREATE TRIGGER numbers_made AFTER INSERT ON numbers FOR EACH ROW EXECUTE FUNCTION hum.tell_change('number');
CREATE TRIGGER numbers_changed AFTER UPDATE ON numbers
    FOR EACH ROW WHEN ((OLD.friendly_name, OLD.flow_id, OLD.sms_flow_id, OLD.sms_enabled, OLD.status)
                       IS DISTINCT FROM
                       (NEW.friendly_name, NEW.flow_id, NEW.sms_flow_id, NEW.sms_enabled, NEW.status))
    EXECUTE FUNCTION hum.tell_change('number');
CREATE TRIGGER numbers_gone AFTER DELETE ON numbers FOR EACH ROW EXECUTE FUNCTION hum.tell_gone('number');
CREATE TRIGGER webhooks_made AFTER INSERT ON webhooks FOR EACH ROW EXECUTE FUNCTION hum.tell_change('webhook');
CREATE TRIGGER webhooks_changed AFTER UPDATE ON webhooks
    FOR EACH ROW WHEN ((OLD.updated_at, OLD.disabled_reason) IS DISTINCT FROM (NEW.updated_at, NEW.disabled_reason))
    EXECUTE FUNCTION hum.tell_change('webhook');
CREATE TRIGGER webhooks_gone AFTER DELETE ON webhooks FOR EACH ROW EXECUTE FUNCTION hum.tell_gone('webhook');
CREATE TRIGGER knowledge_documents_made AFTER INSERT ON knowledge_documents FOR EACH ROW EXECUTE FUNCTION hum.tell_change('knowledge');
CREATE TRIGGER knowledge_documents_changed AFTER UPDATE ON knowledge_documents
    FOR EACH ROW WHEN ((OLD.name, OLD.status, OLD.updated_at) IS DISTINCT FROM (NEW.name, NEW.status, NEW.updated_at))
    EXECUTE FUNCTION hum.tell_change('knowledge');
CREATE TRIGGER knowledge_documents_gone AFTER DELETE ON knowledge_documents FOR EACH ROW EXECUTE FUNCTION hum.tell_gone('knowledge');
CREATE TRIGGER http_tools_made AFTER INSERT ON http_tools FOR EACH ROW EXECUTE FUNCTION hum.tell_change('tool');
CREATE TRIGGER http_tools_changed AFTER UPDATE ON http_tools
    FOR EACH ROW WHEN ((OLD.name, OLD.version, OLD.updated_at) IS DISTINCT FROM (NEW.name, NEW.version, NEW.updated_at))
    EXECUTE FUNCTION hum.tell_change('tool');
CREATE TRIGGER http_tools_gone AFTER DELETE ON http_tools FOR EACH ROW EXECUTE FUNCTION hum.tell_gone('tool');
CREATE TRIGGER mcp_servers_made AFTER INSERT ON mcp_servers FOR EACH ROW EXECUTE FUNCTION hum.tell_change('mcp_server');
-- Not each refresh without a new result.
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
-- Not each consecutive failure: only what is shown of them.
CREATE TRIGGER crm_connectors_changed AFTER UPDATE ON crm_connectors
    FOR EACH ROW WHEN ((OLD.updated_at, OLD.position, OLD.failing_since, OLD.failure, OLD.rests_until)
                       IS DISTINCT FROM
                       (NEW.updated_at, NEW.position, NEW.failing_since, NEW.failure, NEW.rests_until))
    EXECUTE FUNCTION hum.tell_change('crm_connector');
CREATE TRIGGER crm_connectors_gone AFTER DELETE ON crm_connectors FOR EACH ROW EXECUTE FUNCTION hum.tell_gone('crm_connector');
CREATE TRIGGER flow_tools_told AFTER INSERT OR UPDATE OR DELETE ON flow_tools
    FOR EACH ROW EXECUTE FUNCTION hum.tell_owner('flow', 'flow_id');
CREATE TRIGGER mcp_flows_told AFTER INSERT OR DELETE ON mcp_flows FOR EACH ROW EXECUTE FUNCTION hum.tell_owner('flow', 'flow_id');
CREATE TRIGGER contacts_made AFTER INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION hum.tell_change('contact');
-- Only what is shown of a contact, not each meeting or lookup.
CREATE TRIGGER contacts_changed AFTER UPDATE ON contacts
    FOR EACH ROW WHEN (
        (OLD.name, OLD.email, OLD.company, OLD.notes, OLD.tags, OLD.attributes_json, OLD.carrier, OLD.line_type, OLD.caller_name)
        IS DISTINCT FROM
        (NEW.name, NEW.email, NEW.company, NEW.notes, NEW.tags, NEW.attributes_json, NEW.carrier, NEW.line_type, NEW.caller_name))
    EXECUTE FUNCTION hum.tell_change('contact');
CREATE TRIGGER contacts_gone AFTER DELETE ON contacts FOR EACH ROW EXECUTE FUNCTION hum.tell_gone('contact');
