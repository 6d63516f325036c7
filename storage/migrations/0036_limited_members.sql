-- Members who see some numbers and agents only. A member's limits are settings of the transaction next to its
-- organization, and restrictive policies apply them to every table that tells of calls, texts or people; a table
-- without one has its reason in tests/storage/test_limits.py.

ALTER TABLE memberships
    -- What the member sees; both empty: everything. Ids of what was deleted stay, so that no limit becomes none.
    ADD COLUMN limited_numbers uuid[] NOT NULL DEFAULT '{}',
    ADD COLUMN limited_flows uuid[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT memberships_admins_see_everything
        CHECK (role <> 'admin' OR cardinality(limited_numbers) + cardinality(limited_flows) = 0);

-- Return whether this transaction sees its whole organization.
CREATE FUNCTION hum.sees_everything() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(current_setting('hum.limited_numbers', true), '') = ''
$$;

CREATE FUNCTION hum.limited_numbers() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(nullif(current_setting('hum.limited_numbers', true), ''), '{}')::uuid[]
$$;

CREATE FUNCTION hum.limited_flows() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(nullif(current_setting('hum.limited_flows', true), ''), '{}')::uuid[]
$$;

-- Let limited members see and write only the rows for which `sees` holds.
CREATE PROCEDURE hum.limited_table(name text, sees text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'CREATE POLICY limits ON %I AS RESTRICTIVE TO hum_app, hum_owner USING ((SELECT hum.sees_everything()) OR %s)', name, sees);
END
$$;

-- Hide a table from limited members; they may still cause its rows.
CREATE PROCEDURE hum.hidden_table(name text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'CREATE POLICY limits ON %I AS RESTRICTIVE FOR SELECT TO hum_app USING ((SELECT hum.sees_everything()))', name);
END
$$;

CALL hum.limited_table('calls',
    '(number_id = ANY ((SELECT hum.limited_numbers())::uuid[]) OR flow_id = ANY ((SELECT hum.limited_flows())::uuid[])
      OR agent_flow_id = ANY ((SELECT hum.limited_flows())::uuid[]))');
CALL hum.limited_table('numbers',
    '(id = ANY ((SELECT hum.limited_numbers())::uuid[]) OR flow_id = ANY ((SELECT hum.limited_flows())::uuid[])
      OR sms_flow_id = ANY ((SELECT hum.limited_flows())::uuid[]))');
CALL hum.limited_table('conversations',
    '(number_id = ANY ((SELECT hum.limited_numbers())::uuid[])
      OR coalesce(flow_id, (SELECT n.sms_flow_id FROM numbers n WHERE n.id = conversations.number_id))
         = ANY ((SELECT hum.limited_flows())::uuid[]))');
-- A number's agents come with it.
CALL hum.limited_table('flows',
    '(id = ANY ((SELECT hum.limited_flows())::uuid[])
      OR EXISTS (SELECT FROM numbers n WHERE n.id = ANY ((SELECT hum.limited_numbers())::uuid[])
                                         AND flows.id IN (n.flow_id, n.sms_flow_id)))');
CALL hum.limited_table('campaigns',
    '(number_id = ANY ((SELECT hum.limited_numbers())::uuid[]) OR flow_id = ANY ((SELECT hum.limited_flows())::uuid[]))');
CALL hum.limited_table('usage_entries',
    '(number_id = ANY ((SELECT hum.limited_numbers())::uuid[]) OR flow_id = ANY ((SELECT hum.limited_flows())::uuid[]))');
CALL hum.limited_table('usage_rollups',
    '(number_id = ANY ((SELECT hum.limited_numbers())::uuid[]) OR flow_id = ANY ((SELECT hum.limited_flows())::uuid[]))');
-- A person is seen by their calls and texts.
CALL hum.limited_table('contacts',
    '(EXISTS (SELECT FROM calls c WHERE c.contact_id = contacts.id)
      OR EXISTS (SELECT FROM conversations c WHERE c.contact_id = contacts.id))');

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
        CALL hum.limited_table(name, format('EXISTS (SELECT FROM calls c WHERE c.id = %I.call_id)', name));
    END LOOP;
    FOREACH name IN ARRAY ARRAY['messages', 'text_runs'] LOOP
        CALL hum.limited_table(
            name, format('EXISTS (SELECT FROM conversations c WHERE c.id = %I.conversation_id)', name));
    END LOOP;
    FOREACH name IN ARRAY ARRAY['message_attempts', 'message_media'] LOOP
        CALL hum.limited_table(name, format('EXISTS (SELECT FROM messages m WHERE m.id = %I.message_id)', name));
    END LOOP;
    -- One that no text has is known by its id to who stored it.
    CALL hum.limited_table(
        'sms_uploads', '(message_id IS NULL OR EXISTS (SELECT FROM messages m WHERE m.id = sms_uploads.message_id))');
    FOREACH name IN ARRAY ARRAY['campaign_counts', 'campaign_recipients'] LOOP
        CALL hum.limited_table(name, format('EXISTS (SELECT FROM campaigns c WHERE c.id = %I.campaign_id)', name));
    END LOOP;
    FOREACH name IN ARRAY ARRAY['event_runs', 'flow_tools', 'mcp_flows'] LOOP
        CALL hum.limited_table(name, format('EXISTS (SELECT FROM flows f WHERE f.id = %I.flow_id)', name));
    END LOOP;
    FOREACH name IN ARRAY ARRAY['contact_tags', 'crm_contacts'] LOOP
        CALL hum.limited_table(name, format('EXISTS (SELECT FROM contacts k WHERE k.id = %I.contact_id)', name));
    END LOOP;
    -- What an agent did in a call, in a conversation, or for an event.
    FOREACH name IN ARRAY ARRAY['tool_runs', 'approvals'] LOOP
        CALL hum.limited_table(name, format(
            'CASE WHEN call_id IS NOT NULL THEN EXISTS (SELECT FROM calls c WHERE c.id = %1$I.call_id)
                  WHEN conversation_id IS NOT NULL THEN EXISTS (SELECT FROM conversations c WHERE c.id = %1$I.conversation_id)
                  ELSE EXISTS (SELECT FROM flows f WHERE f.id = %1$I.flow_id) END', name));
    END LOOP;
    FOREACH name IN ARRAY ARRAY[
        'call_rollups', 'latency_rollups', 'contact_backfills', 'contact_import_failures', 'contact_import_rows', 'contact_imports', 'crm_logs',
        'crm_syncs', 'events', 'trigger_deliveries', 'webhook_attempts', 'webhook_deliveries', 'webhooks']
    LOOP
        CALL hum.hidden_table(name);
    END LOOP;
END
$$;

-- The stream of changes names things of all kinds. What is deleted is nobody's who is limited.
CREATE POLICY limits ON inbox_changes AS RESTRICTIVE FOR SELECT TO hum_app USING (
    (SELECT hum.sees_everything())
    OR CASE WHEN message_id IS NOT NULL THEN EXISTS (SELECT FROM messages m WHERE m.id = inbox_changes.message_id)
            WHEN conversation_id IS NOT NULL
            THEN EXISTS (SELECT FROM conversations c WHERE c.id = inbox_changes.conversation_id)
            WHEN campaign_id IS NOT NULL THEN EXISTS (SELECT FROM campaigns c WHERE c.id = inbox_changes.campaign_id)
            WHEN kind = 'call' THEN EXISTS (SELECT FROM calls c WHERE c.id = inbox_changes.thing_id)
            WHEN kind = 'voicemail' THEN EXISTS (SELECT FROM voicemails v WHERE v.id = inbox_changes.thing_id)
            WHEN kind = 'approval' THEN EXISTS (SELECT FROM approvals a WHERE a.id = inbox_changes.thing_id)
            WHEN kind = 'flow' THEN EXISTS (SELECT FROM flows f WHERE f.id = inbox_changes.thing_id)
            WHEN kind = 'number' THEN EXISTS (SELECT FROM numbers n WHERE n.id = inbox_changes.thing_id)
            WHEN kind = 'contact' THEN EXISTS (SELECT FROM contacts k WHERE k.id = inbox_changes.thing_id)
            ELSE kind IN ('knowledge', 'tool', 'mcp_server', 'crm_connector') END);

DROP FUNCTION hum.begin_as(bytea);

-- Authenticate an API key or a session by the SHA-256 of its secret, and set the transaction's organization, person and
-- limits. Return no row if the credential is unknown, expired or revoked. A key never has more rights than its
-- creator's present role, and sees no more. This is the only query before the tenant is known, hence the only one
-- across tenants. `limited_numbers` and `limited_flows` are null for those who see everything.
CREATE FUNCTION hum.begin_as(credential bytea)
RETURNS TABLE (org_id uuid, role text, scopes text[], key_id uuid, session_id uuid, user_id uuid, name text, site_admin boolean,
               limited_numbers uuid[], limited_flows uuid[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
DECLARE
    this api_keys;
    session sessions;
    person users;
    member memberships;
BEGIN
    SELECT * INTO this FROM api_keys
     WHERE hash = credential AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now());
    IF FOUND THEN
        IF this.made_by IS NOT NULL THEN
            PERFORM set_config('hum.user_id', this.made_by::text, true);
            SELECT * INTO person FROM users WHERE id = this.made_by;
            SELECT * INTO member FROM memberships WHERE org_id = this.org_id AND user_id = this.made_by;
            IF NOT FOUND THEN  -- the creator is no longer a member
                PERFORM set_config('hum.user_id', '', true);
                RETURN;
            END IF;
        END IF;
        -- "Last used" is true to a minute; no request waits for another's lock to say so.
        UPDATE api_keys SET last_used_at = now()
         WHERE id = (SELECT id FROM api_keys
                      WHERE id = this.id AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
                        FOR UPDATE SKIP LOCKED);
        PERFORM set_config('hum.org_id', this.org_id::text, true);
    ELSE
        SELECT * INTO session FROM sessions
         WHERE token_hash = credential AND expires_at > now() AND last_seen_at > now() - idle;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        UPDATE sessions SET last_seen_at = now()
         WHERE id = (SELECT id FROM sessions
                      WHERE id = session.id AND last_seen_at < now() - least(interval '1 minute', idle / 10)
                        FOR UPDATE SKIP LOCKED);
        PERFORM set_config('hum.user_id', session.user_id::text, true),
                set_config('hum.verified_address', coalesce(lower(session.verified_email COLLATE "C"), ''), true);
        SELECT * INTO person FROM users WHERE id = session.user_id;
        SELECT * INTO member FROM memberships WHERE org_id = session.org_id AND user_id = session.user_id;
        PERFORM set_config('hum.org_id', coalesce(member.org_id::text, ''), true);
    END IF;
    IF cardinality(member.limited_numbers) + cardinality(member.limited_flows) > 0 THEN
        PERFORM set_config('hum.limited_numbers', member.limited_numbers::text, true),
                set_config('hum.limited_flows', member.limited_flows::text, true);
    ELSE
        member.limited_numbers := NULL;
        member.limited_flows := NULL;
    END IF;
    IF this.id IS NOT NULL THEN
        RETURN QUERY SELECT this.org_id,
                            CASE WHEN 'viewer' IN (this.role, coalesce(member.role, this.role)) THEN 'viewer'
                                 WHEN 'operator' IN (this.role, coalesce(member.role, this.role)) THEN 'operator'
                                 ELSE 'admin' END,
                            this.scopes, this.id, NULL::uuid, this.made_by, this.name,
                            coalesce(person.site_admin, false) AND 'site:admin' = ANY (this.scopes),
                            member.limited_numbers, member.limited_flows;
    ELSE
        RETURN QUERY SELECT member.org_id, member.role, NULL::text[], NULL::uuid, session.id, session.user_id,
                            person.email, person.site_admin, member.limited_numbers, member.limited_flows;
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION hum.begin_as(bytea) FROM public;
GRANT EXECUTE ON FUNCTION hum.begin_as(bytea) TO hum_app;
