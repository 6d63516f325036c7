-- The inbox of texts: who has a conversation, its lists, its search, what has changed in it; templates; deletion.

-- Conversations ---------------------------------------------------------------------------------------------------

-- Whoever has a conversation is a member of the team, and whoever leaves has none.
ALTER TABLE conversations DROP CONSTRAINT conversations_assignee_id_fkey;
ALTER TABLE conversations ADD CONSTRAINT conversations_assignee_member
    FOREIGN KEY (org_id, assignee_id) REFERENCES memberships (org_id, user_id) ON DELETE SET NULL (assignee_id);

-- Each filter of the list has an index in the list's order.  A conversation is in one of each pair.
DROP INDEX conversations_assignee;
CREATE INDEX conversations_assignee ON conversations (org_id, assignee_id, active_at DESC, id DESC) WHERE assignee_id IS NOT NULL;
CREATE INDEX conversations_nobody ON conversations (org_id, active_at DESC, id DESC) WHERE assignee_id IS NULL;
CREATE INDEX conversations_read ON conversations (org_id, active_at DESC, id DESC) WHERE unread_count = 0;
CREATE INDEX conversations_put_off ON conversations (org_id, active_at DESC, id DESC) WHERE snoozed_until IS NOT NULL;
-- How many wait for somebody to read them is counted in this, up to a bound.
CREATE INDEX conversations_waiting ON conversations (org_id, assignee_id) WHERE unread_count > 0 AND status = 'open';

-- What has changed, for those who follow the inbox.  Rows say of which message or conversation, and hold nothing of it; they are
-- written by triggers, so that nobody who changes something has to think of it, and are kept for a while.
CREATE TABLE inbox_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    conversation_id uuid,
    message_id uuid,
    made boolean NOT NULL DEFAULT false,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(conversation_id, message_id) = 1)
);
CREATE INDEX inbox_changes_org ON inbox_changes (org_id, xid, id);
CREATE INDEX inbox_changes_age ON inbox_changes (changed_at);
CALL hum.tenant_table('inbox_changes');
REVOKE UPDATE, DELETE ON inbox_changes FROM hum_app;
-- What a foreign key sets to null is changed by the owner.
CREATE POLICY door ON inbox_changes FOR INSERT TO hum_owner WITH CHECK (true);

-- Up to which transaction changes are forgotten.
CREATE TABLE inbox_floor (xid xid8 NOT NULL);
INSERT INTO inbox_floor VALUES ('0');
GRANT SELECT ON inbox_floor TO hum_app;
GRANT SELECT, UPDATE ON inbox_floor TO hum_system;

CREATE FUNCTION hum.tell_conversation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, conversation_id, made) VALUES (NEW.org_id, NEW.id, TG_OP = 'INSERT');
    PERFORM pg_notify('hum_inbox', NEW.org_id::text);
    RETURN NULL;
END
$$;
CREATE TRIGGER conversations_tell AFTER INSERT ON conversations FOR EACH ROW EXECUTE FUNCTION hum.tell_conversation();
CREATE TRIGGER conversations_tell_change AFTER UPDATE ON conversations
    FOR EACH ROW WHEN (
        (OLD.number_id, OLD.contact_id, OLD.status, OLD.assignee_id, OLD.ai_paused_reason, OLD.snoozed_until, OLD.flow_id,
         OLD.unread_count, OLD.last_message_at)
        IS DISTINCT FROM
        (NEW.number_id, NEW.contact_id, NEW.status, NEW.assignee_id, NEW.ai_paused_reason, NEW.snoozed_until, NEW.flow_id,
         NEW.unread_count, NEW.last_message_at))
    EXECUTE FUNCTION hum.tell_conversation();

CREATE FUNCTION hum.tell_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, message_id, made) VALUES (NEW.org_id, NEW.id, TG_OP = 'INSERT');
    PERFORM pg_notify('hum_inbox', NEW.org_id::text);
    RETURN NULL;
END
$$;
CREATE TRIGGER messages_tell AFTER INSERT ON messages FOR EACH ROW EXECUTE FUNCTION hum.tell_message();
CREATE TRIGGER messages_tell_change AFTER UPDATE ON messages
    FOR EACH ROW WHEN ((OLD.status, OLD.error_code, OLD.segments, OLD.held_by, OLD.sent_at, OLD.delivered_at)
                       IS DISTINCT FROM
                       (NEW.status, NEW.error_code, NEW.segments, NEW.held_by, NEW.sent_at, NEW.delivered_at))
    EXECUTE FUNCTION hum.tell_message();

CREATE FUNCTION hum.tell_media() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, message_id) VALUES (NEW.org_id, NEW.message_id);
    PERFORM pg_notify('hum_inbox', NEW.org_id::text);
    RETURN NULL;
END
$$;
CREATE TRIGGER message_media_tell AFTER UPDATE OF status ON message_media
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION hum.tell_media();

-- Whether the contact wants texts is shown with its conversations.
CREATE FUNCTION hum.tell_opt_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, conversation_id)
    SELECT c.org_id, c.id FROM conversations c WHERE c.org_id = NEW.org_id AND c.contact_e164 = NEW.contact_e164;
    PERFORM pg_notify('hum_inbox', NEW.org_id::text);
    RETURN NULL;
END
$$;
CREATE TRIGGER opt_outs_tell AFTER INSERT OR UPDATE OF opted_out ON opt_outs
    FOR EACH ROW EXECUTE FUNCTION hum.tell_opt_out();

-- Search ------------------------------------------------------------------------------------------------------------

-- As contact_search in 0005: no grant to the application, one door, kept by triggers.  A row for each conversation (its
-- contact's number, name and company) and for each message: a message adds a row, and changes no other.
CREATE TABLE text_search (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    -- Null: the conversation's own.
    message_id uuid REFERENCES messages ON DELETE CASCADE,
    words tsvector NOT NULL
);
CREATE INDEX text_search_words ON text_search USING gin (words) WITH (fastupdate = off);
CREATE INDEX text_search_conversation ON text_search (conversation_id);
CREATE UNIQUE INDEX text_search_own ON text_search (conversation_id) WHERE message_id IS NULL;
CREATE UNIQUE INDEX text_search_message ON text_search (message_id) WHERE message_id IS NOT NULL;
ALTER TABLE text_search ALTER COLUMN words SET STATISTICS 1000;
ALTER TABLE text_search ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON text_search TO hum_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON text_search TO hum_system;

CREATE FUNCTION hum.index_message() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO text_search (org_id, conversation_id, message_id, words)
    VALUES (NEW.org_id, NEW.conversation_id, NEW.id, array_to_tsvector(hum.words_of(left(NEW.body, 10000))));
    RETURN NULL;
END
$$;
CREATE TRIGGER messages_search AFTER INSERT ON messages
    FOR EACH ROW WHEN (NEW.body <> '') EXECUTE FUNCTION hum.index_message();

CREATE POLICY door ON conversations FOR SELECT TO hum_owner USING (org_id = (SELECT hum.org_id()));
CREATE FUNCTION hum.index_conversation(thread uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    INSERT INTO text_search (org_id, conversation_id, words)
    SELECT c.org_id, c.id, array_to_tsvector(hum.phone_words(c.contact_e164) || hum.words_of(concat_ws(' ', k.name, k.company)))
      FROM conversations c LEFT JOIN contacts k ON k.id = c.contact_id
     WHERE c.id = thread
    ON CONFLICT (conversation_id) WHERE message_id IS NULL DO UPDATE SET words = excluded.words
$$;
-- As hum.index_changed_call in 0021: conversations are made by the system too, which has no organization; and those whose
-- contact is deleted together with them can't be found any more.
CREATE FUNCTION hum.index_changed_conversation() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    org text := current_setting('hum.org_id', true);
BEGIN
    IF current_setting('hum.unlinking', true) = 'on' THEN
        DELETE FROM text_search WHERE conversation_id = NEW.id;
        RETURN NULL;
    END IF;
    PERFORM set_config('hum.org_id', NEW.org_id::text, true);
    PERFORM hum.index_conversation(NEW.id);
    PERFORM set_config('hum.org_id', coalesce(org, ''), true);
    RETURN NULL;
END
$$;
CREATE TRIGGER conversations_search AFTER INSERT ON conversations
    FOR EACH ROW EXECUTE FUNCTION hum.index_changed_conversation();
CREATE TRIGGER conversations_search_contact AFTER UPDATE OF contact_id ON conversations
    FOR EACH ROW WHEN (OLD.contact_id IS DISTINCT FROM NEW.contact_id) EXECUTE FUNCTION hum.index_changed_conversation();

-- A contact has few conversations: they are indexed with its new name at once.
CREATE FUNCTION hum.index_conversations_of_contact() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    org text := current_setting('hum.org_id', true);
BEGIN
    PERFORM set_config('hum.org_id', NEW.org_id::text, true);
    PERFORM hum.index_conversation(c.id) FROM conversations c WHERE c.contact_id = NEW.id;
    PERFORM set_config('hum.org_id', coalesce(org, ''), true);
    RETURN NULL;
END
$$;
CREATE TRIGGER contacts_conversations AFTER UPDATE OF name, company ON contacts
    FOR EACH ROW WHEN ((OLD.name, OLD.company) IS DISTINCT FROM (NEW.name, NEW.company))
    EXECUTE FUNCTION hum.index_conversations_of_contact();
CREATE FUNCTION hum.tell_contact() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, conversation_id)
    SELECT c.org_id, c.id FROM conversations c WHERE c.contact_id = NEW.id;
    IF FOUND THEN
        PERFORM pg_notify('hum_inbox', NEW.org_id::text);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER contacts_tell AFTER UPDATE OF name, company ON contacts
    FOR EACH ROW WHEN ((OLD.name, OLD.company) IS DISTINCT FROM (NEW.name, NEW.company))
    EXECUTE FUNCTION hum.tell_contact();

-- The conversations with the latest messages, below (before_at, before_id), that the filters let pass and in which the
-- contact's number, name or company, or a message, holds words beginning with those of the query, or these digits.
-- What few rows hold is found by its index first; what many do, on the way from the latest conversation.  The two tables are
-- asked apart: beside a table with policies, PostgreSQL would not use the index.
CREATE FUNCTION hum.search_conversations(
    query text, digits text, before_at timestamptz, before_id uuid, most integer, wanted_status text, assignee uuid,
    nobody boolean, unread boolean, snoozed boolean, number uuid)
RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER ROWS 50 SET search_path = pg_catalog, public AS $$
DECLARE
    few CONSTANT integer := 5000;
    -- words_of leaves letters and digits alone, so there is nothing to quote.
    said tsquery := coalesce(
        (SELECT string_agg(format('''%s'':*', word), ' & ') FROM unnest(hum.words_of(query)) AS word), '')::tsquery;
    wanted tsquery := CASE WHEN digits IS NULL THEN said ELSE (digits || ':*')::tsquery || said END;
    holders CONSTANT text := format(
        'SELECT s.conversation_id FROM text_search s WHERE s.org_id = %L AND s.words @@ %L::tsquery', hum.org_id(), wanted);
    guess json;
    found uuid[];
BEGIN
    -- Only a volatile function may ask for a plan; this one changes nothing.
    EXECUTE 'EXPLAIN (FORMAT json) ' || holders INTO guess;
    IF (guess -> 0 -> 'Plan' ->> 'Plan Rows')::float8 <= few THEN
        EXECUTE format('SELECT ARRAY(%s LIMIT %s)', holders, few + 1) INTO found;
    END IF;
    RETURN QUERY EXECUTE 'SELECT c.id FROM conversations c WHERE c.org_id = $1'
        || CASE WHEN cardinality(found) <= few THEN ' AND c.id = ANY ($2)'
                ELSE ' AND (SELECT true FROM text_search s WHERE s.conversation_id = c.id AND s.words @@ $9 LIMIT 1)' END
        || CASE WHEN before_at IS NULL THEN '' ELSE ' AND (c.active_at, c.id) < ($3, $4)' END
        || CASE WHEN wanted_status IS NULL THEN '' ELSE ' AND c.status = $5' END
        || CASE WHEN assignee IS NULL THEN '' ELSE ' AND c.assignee_id = $6' END
        || CASE WHEN nobody THEN ' AND c.assignee_id IS NULL' ELSE '' END
        || CASE WHEN unread IS NULL THEN '' WHEN unread THEN ' AND c.unread_count > 0' ELSE ' AND c.unread_count = 0' END
        || CASE WHEN snoozed IS NULL THEN '' WHEN snoozed THEN ' AND c.snoozed_until > now()'
                ELSE ' AND (c.snoozed_until IS NULL OR c.snoozed_until <= now())' END
        || CASE WHEN number IS NULL THEN '' ELSE ' AND c.number_id = $7' END
        || ' ORDER BY c.active_at DESC, c.id DESC LIMIT $8'
    USING hum.org_id(), found, before_at, before_id, wanted_status, assignee, number, most, wanted;
END
$$;
REVOKE EXECUTE ON FUNCTION hum.index_message(), hum.index_conversation(uuid), hum.index_changed_conversation(),
    hum.index_conversations_of_contact(),
    hum.search_conversations(text, text, timestamptz, uuid, integer, text, uuid, boolean, boolean, boolean, uuid) FROM public;
GRANT EXECUTE ON FUNCTION
    hum.search_conversations(text, text, timestamptz, uuid, integer, text, uuid, boolean, boolean, boolean, uuid) TO hum_app;

SET LOCAL ROLE hum_system;
INSERT INTO text_search (org_id, conversation_id, words)
SELECT c.org_id, c.id, array_to_tsvector(hum.phone_words(c.contact_e164) || hum.words_of(concat_ws(' ', k.name, k.company)))
  FROM conversations c LEFT JOIN contacts k ON k.id = c.contact_id;
INSERT INTO text_search (org_id, conversation_id, message_id, words)
SELECT org_id, conversation_id, id, array_to_tsvector(hum.words_of(left(body, 10000))) FROM messages WHERE body <> '';
SET LOCAL ROLE hum_owner;

-- Templates -----------------------------------------------------------------------------------------------------------

CREATE TABLE sms_templates (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name text NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX sms_templates_name ON sms_templates (org_id, lower(name COLLATE "C"));
CREATE INDEX sms_templates_page ON sms_templates (org_id, id DESC);
CALL hum.tenant_table('sms_templates');

-- Deletion -------------------------------------------------------------------------------------------------------------

CREATE INDEX messages_age ON messages (org_id, created_at, id);
-- Whose evidence goes with a message.
CREATE INDEX opt_outs_message ON opt_outs (message_id) WHERE message_id IS NOT NULL;
ALTER TABLE erasures ADD COLUMN messages bigint NOT NULL DEFAULT 0;

-- The files of messages that are gone, whatever deleted them: they go next.
CREATE TABLE erased_media (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id uuid NOT NULL,
    path text NOT NULL,
    tried_at timestamptz,
    erased_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erased_media_files ON erased_media (tried_at NULLS FIRST);
CALL hum.tenant_table('erased_media');
REVOKE UPDATE, DELETE ON erased_media FROM hum_app;
CREATE POLICY door ON erased_media FOR INSERT TO hum_owner WITH CHECK (true);  -- who deletes what a foreign key takes along
CREATE FUNCTION hum.owe_media() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO erased_media (org_id, path) VALUES (OLD.org_id, OLD.path);
    RETURN NULL;
END
$$;
CREATE TRIGGER message_media_owed AFTER DELETE ON message_media
    FOR EACH ROW WHEN (OLD.path IS NOT NULL) EXECUTE FUNCTION hum.owe_media();
