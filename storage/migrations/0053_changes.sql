-- Who follows an organization is told of its calls, voicemails, approvals and settings as of its texts: by rows of inbox_changes, which
-- triggers write, and which say of what and hold nothing of it.

ALTER TABLE inbox_changes ADD COLUMN kind text, ADD COLUMN thing_id uuid;
ALTER TABLE inbox_changes DROP CONSTRAINT inbox_changes_check;
ALTER TABLE inbox_changes ADD CONSTRAINT inbox_changes_check CHECK (
    num_nonnulls(conversation_id, message_id, campaign_id, thing_id) = 1 AND (kind IS NULL) = (thing_id IS NULL));

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

CREATE TRIGGER calls_made AFTER INSERT ON calls FOR EACH ROW EXECUTE FUNCTION hum.tell_change('call');
-- What lists show of a call.
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

-- Settings.
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
