-- Whether a limited member sees what a row hangs on is looked up by that thing's index for each row, as 0040 does for
-- contacts: of an EXISTS without an OFFSET the planner may read all calls, conversations, messages or contacts.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'browser_calls', 'call_events', 'call_flow_switches', 'call_interruptions', 'call_interventions',
        'call_keypad_entries', 'call_notes', 'call_recording_pauses', 'call_refused_onsets', 'call_streams',
        'call_tags', 'call_turn_latencies', 'call_turns', 'message_parts', 'outbound_attempts', 'outbound_calls',
        'transfers', 'voicemails']
    LOOP
        EXECUTE format('ALTER POLICY limits ON %1$I USING ((SELECT hum.sees_everything())
            OR EXISTS (SELECT FROM calls c WHERE c.id = %1$I.call_id OFFSET 0))', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['messages', 'text_runs'] LOOP
        EXECUTE format('ALTER POLICY limits ON %1$I USING ((SELECT hum.sees_everything())
            OR EXISTS (SELECT FROM conversations c WHERE c.id = %1$I.conversation_id OFFSET 0))', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['message_attempts', 'message_media'] LOOP
        EXECUTE format('ALTER POLICY limits ON %1$I USING ((SELECT hum.sees_everything())
            OR EXISTS (SELECT FROM messages m WHERE m.id = %1$I.message_id OFFSET 0))', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['contact_tags', 'crm_contacts'] LOOP
        EXECUTE format('ALTER POLICY limits ON %1$I USING ((SELECT hum.sees_everything())
            OR EXISTS (SELECT FROM contacts k WHERE k.id = %1$I.contact_id OFFSET 0))', name);
    END LOOP;
    -- What an agent did in a call, in a conversation, or for an event.
    FOREACH name IN ARRAY ARRAY['tool_runs', 'approvals'] LOOP
        EXECUTE format('ALTER POLICY limits ON %1$I USING ((SELECT hum.sees_everything()) OR
            CASE WHEN call_id IS NOT NULL THEN EXISTS (SELECT FROM calls c WHERE c.id = %1$I.call_id OFFSET 0)
                 WHEN conversation_id IS NOT NULL
                 THEN EXISTS (SELECT FROM conversations c WHERE c.id = %1$I.conversation_id OFFSET 0)
                 ELSE EXISTS (SELECT FROM flows f WHERE f.id = %1$I.flow_id OFFSET 0) END)', name);
    END LOOP;
END
$$;

ALTER POLICY limits ON sms_uploads USING (
    (SELECT hum.sees_everything())
    OR message_id IS NULL OR EXISTS (SELECT FROM messages m WHERE m.id = sms_uploads.message_id OFFSET 0));
ALTER POLICY limits ON contact_links USING (
    (SELECT hum.sees_everything())
    OR EXISTS (SELECT FROM contacts k WHERE k.id = contact_links.first_id OFFSET 0)
       AND EXISTS (SELECT FROM contacts k WHERE k.id = contact_links.second_id OFFSET 0));
-- The stream of changes names things of all kinds. What is deleted is nobody's who is limited.
ALTER POLICY limits ON inbox_changes USING (
    (SELECT hum.sees_everything())
    OR CASE WHEN message_id IS NOT NULL THEN EXISTS (SELECT FROM messages m WHERE m.id = inbox_changes.message_id OFFSET 0)
            WHEN conversation_id IS NOT NULL
            THEN EXISTS (SELECT FROM conversations c WHERE c.id = inbox_changes.conversation_id OFFSET 0)
            WHEN campaign_id IS NOT NULL THEN EXISTS (SELECT FROM campaigns c WHERE c.id = inbox_changes.campaign_id OFFSET 0)
            WHEN kind = 'call' THEN EXISTS (SELECT FROM calls c WHERE c.id = inbox_changes.thing_id OFFSET 0)
            WHEN kind = 'voicemail' THEN EXISTS (SELECT FROM voicemails v WHERE v.id = inbox_changes.thing_id OFFSET 0)
            WHEN kind = 'approval' THEN EXISTS (SELECT FROM approvals a WHERE a.id = inbox_changes.thing_id OFFSET 0)
            WHEN kind = 'flow' THEN EXISTS (SELECT FROM flows f WHERE f.id = inbox_changes.thing_id OFFSET 0)
            WHEN kind = 'number' THEN EXISTS (SELECT FROM numbers n WHERE n.id = inbox_changes.thing_id OFFSET 0)
            WHEN kind = 'contact' THEN EXISTS (SELECT FROM contacts k WHERE k.id = inbox_changes.thing_id OFFSET 0)
            ELSE kind IN ('knowledge', 'tool', 'mcp_server', 'crm_connector') END);
