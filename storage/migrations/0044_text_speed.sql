-- Texts cost less: what follows a change is done once for a statement and not for each row, nothing notifies while it commits,
-- and no two transactions count in one row.

-- An organization is never deleted while it has rows, and a row that belongs to another row goes with that.  Each check of
-- such a key locks the organization's one row, for each text a dozen times.
ALTER TABLE messages DROP CONSTRAINT messages_org_id_fkey;
ALTER TABLE message_attempts DROP CONSTRAINT message_attempts_org_id_fkey;
ALTER TABLE message_statuses DROP CONSTRAINT message_statuses_org_id_fkey;
ALTER TABLE campaign_recipients DROP CONSTRAINT campaign_recipients_org_id_fkey;
ALTER TABLE campaign_counts DROP CONSTRAINT campaign_counts_org_id_fkey;
ALTER TABLE text_search DROP CONSTRAINT text_search_org_id_fkey;
ALTER TABLE contact_search DROP CONSTRAINT contact_search_org_id_fkey;
ALTER TABLE inbox_changes DROP CONSTRAINT inbox_changes_org_id_fkey;

-- New entries wait in a short list, which is put in order at once for many; a search reads at most these few pages of it.
ALTER INDEX text_search_words SET (fastupdate = on, gin_pending_list_limit = 64);
ALTER INDEX contact_search_words SET (fastupdate = on, gin_pending_list_limit = 64);

-- Counts ------------------------------------------------------------------------------------------------------------

-- A shard that no other transaction counts in before this one has ended.  So nobody waits for a count, in whatever order
-- campaigns and recipients are changed.
CREATE FUNCTION hum.own_shard() RETURNS smallint LANGUAGE plpgsql AS $$
DECLARE
    mine smallint := nullif(current_setting('hum.shard', true), '');
    most CONSTANT smallint := 64;
BEGIN
    IF mine IS NULL THEN
        mine := 0;
        WHILE mine < most AND NOT pg_try_advisory_xact_lock(hashtext('campaign counts'), mine) LOOP
            mine := mine + 1;
        END LOOP;
        IF mine = most THEN
            mine := most + pg_backend_pid() % 30000;
        END IF;
        PERFORM set_config('hum.shard', mine::text, true);
    END IF;
    RETURN mine;
END
$$;

CREATE OR REPLACE FUNCTION hum.count_recipients() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moved record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(org_id) AS orgs, array_agg(campaign_id) AS campaigns, array_agg(status) AS statuses, array_agg(by) AS counts
          INTO moved
          FROM (SELECT org_id, campaign_id, status, count(*) AS by FROM after GROUP BY org_id, campaign_id, status) each;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(org_id) AS orgs, array_agg(campaign_id) AS campaigns, array_agg(status) AS statuses, array_agg(by) AS counts
          INTO moved
          FROM (SELECT org_id, campaign_id, status, -count(*) AS by FROM before GROUP BY org_id, campaign_id, status) each;
    ELSE
        SELECT array_agg(org_id) AS orgs, array_agg(campaign_id) AS campaigns, array_agg(status) AS statuses, array_agg(by) AS counts
          INTO moved
          FROM (SELECT org_id, campaign_id, status, sum(by) AS by
                  FROM (SELECT org_id, campaign_id, status, 1 AS by FROM after
                        UNION ALL SELECT org_id, campaign_id, status, -1 FROM before) each
                 GROUP BY org_id, campaign_id, status HAVING sum(by) <> 0) each;
    END IF;
    IF moved.orgs IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO campaign_counts AS c (campaign_id, shard, org_id, pending, sending, sent, delivered, failed, unknown,
                                      opted_out, skipped, canceled)
    SELECT campaign_id, hum.own_shard(), org_id,
           coalesce(sum(by) FILTER (WHERE status = 'pending'), 0),
           coalesce(sum(by) FILTER (WHERE status = 'sending'), 0),
           coalesce(sum(by) FILTER (WHERE status = 'sent'), 0),
           coalesce(sum(by) FILTER (WHERE status = 'delivered'), 0),
           coalesce(sum(by) FILTER (WHERE status = 'failed'), 0),
           coalesce(sum(by) FILTER (WHERE status = 'unknown'), 0),
           coalesce(sum(by) FILTER (WHERE status = 'opted_out'), 0),
           coalesce(sum(by) FILTER (WHERE status = 'skipped'), 0),
           coalesce(sum(by) FILTER (WHERE status = 'canceled'), 0)
      FROM unnest(moved.orgs, moved.campaigns, moved.statuses, moved.counts) AS n (org_id, campaign_id, status, by)
     WHERE EXISTS (SELECT FROM campaigns k WHERE k.id = n.campaign_id)
     GROUP BY org_id, campaign_id
    ON CONFLICT (campaign_id, shard) DO UPDATE
       SET pending = c.pending + excluded.pending, sending = c.sending + excluded.sending, sent = c.sent + excluded.sent,
           delivered = c.delivered + excluded.delivered, failed = c.failed + excluded.failed,
           unknown = c.unknown + excluded.unknown, opted_out = c.opted_out + excluded.opted_out,
           skipped = c.skipped + excluded.skipped, canceled = c.canceled + excluded.canceled;
    RETURN NULL;
END
$$;

-- Messages ----------------------------------------------------------------------------------------------------------

-- What has changed is compared as sets, and then asked for by arrays: a plan that was made for one row and is kept is no
-- worse for thousands.

DROP TRIGGER messages_of_campaigns ON messages;
DROP TRIGGER messages_tell ON messages;
DROP TRIGGER messages_tell_change ON messages;
DROP TRIGGER messages_search ON messages;
DROP FUNCTION hum.follow_message(), hum.tell_message(), hum.index_message();

-- New ones: told of in the inbox, and found by their words.
CREATE FUNCTION hum.take_messages() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, message_id, made) SELECT org_id, id, true FROM after;
    INSERT INTO text_search (org_id, conversation_id, message_id, words)
    SELECT org_id, conversation_id, id, array_to_tsvector(hum.words_of(left(body, 10000))) FROM after WHERE body <> '';
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION hum.take_messages() FROM public;
CREATE TRIGGER messages_made AFTER INSERT ON messages
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION hum.take_messages();

-- Changed ones: told of in the inbox, and followed by their recipients.  A recipient's text that was taken back because the
-- campaign was paused, or whose thread somebody closed in the meantime, is written again, unless the campaign has ended.
CREATE FUNCTION hum.follow_messages() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moved record;
BEGIN
    SELECT array_agg(org_id) AS orgs, array_agg(id) AS ids, array_agg(recipient_id) AS recipients,
           array_agg(campaign_id) AS campaigns, array_agg(status) AS statuses, array_agg(error_code) AS codes,
           bool_or(recipient_id IS NOT NULL) AS of_campaigns
      INTO moved
      FROM (SELECT org_id, id, recipient_id, campaign_id, status, error_code, segments, held_by, sent_at, delivered_at FROM after
            EXCEPT ALL
            SELECT org_id, id, recipient_id, campaign_id, status, error_code, segments, held_by, sent_at, delivered_at FROM before) each;
    IF moved.orgs IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO inbox_changes (org_id, message_id) SELECT org_id, id FROM unnest(moved.orgs, moved.ids) AS each (org_id, id);
    IF moved.of_campaigns THEN
        UPDATE campaign_recipients r
           SET status = n.status, reason = n.reason, changed_at = clock_timestamp(),
               message_id = CASE n.status WHEN 'pending' THEN NULL ELSE r.message_id END,
               due_at = CASE n.status WHEN 'pending' THEN clock_timestamp() ELSE r.due_at END
          FROM (SELECT m.recipient_id, m.id,
                       CASE WHEN m.status IN ('scheduled', 'queued') THEN 'sending'
                            WHEN m.status = 'undelivered' THEN 'failed'
                            WHEN m.status = 'expired' THEN 'skipped'
                            WHEN m.status = 'canceled' AND m.code = 'opted_out' THEN 'opted_out'
                            WHEN m.status = 'canceled' AND m.code IN ('paused', 'closed') AND c.status IN ('queued', 'running', 'paused')
                                 THEN 'pending'
                            ELSE m.status END AS status,
                       CASE WHEN m.status = 'canceled' AND m.code IN ('paused', 'closed') AND c.status IN ('queued', 'running', 'paused')
                            THEN NULL
                            ELSE coalesce(m.code, CASE WHEN m.status IN ('canceled', 'expired', 'opted_out') THEN m.status END)
                       END AS reason
                  FROM unnest(moved.ids, moved.recipients, moved.campaigns, moved.statuses, moved.codes)
                       AS m (id, recipient_id, campaign_id, status, code)
                  LEFT JOIN campaigns c ON c.id = m.campaign_id
                 WHERE m.recipient_id IS NOT NULL) n
         WHERE r.id = n.recipient_id AND r.message_id = n.id
           AND (r.status, r.reason) IS DISTINCT FROM (n.status, n.reason);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER messages_changed AFTER UPDATE ON messages
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION hum.follow_messages();

-- Who opts out is no recipient any more of what is under way.  In the order of their ids, as whoever locks several does.
CREATE OR REPLACE FUNCTION hum.follow_opt_out() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    -- The contact's rows first: of a campaign that is new, the planner does not know how many there are.
    waiting uuid[] := ARRAY(SELECT id FROM campaign_recipients
                             WHERE org_id = NEW.org_id AND contact_e164 = NEW.contact_e164 AND status = 'pending');
BEGIN
    waiting := ARRAY(SELECT id FROM campaign_recipients WHERE id = ANY (waiting) AND status = 'pending'
                      ORDER BY id FOR NO KEY UPDATE);
    IF cardinality(waiting) > 0 THEN
        UPDATE campaign_recipients r SET status = 'opted_out', reason = 'opted_out', changed_at = clock_timestamp()
          FROM campaigns c
         WHERE r.id = ANY (waiting) AND c.id = r.campaign_id AND c.status IN ('queued', 'running', 'paused');
    END IF;
    RETURN NULL;
END
$$;

-- Conversations -----------------------------------------------------------------------------------------------------

DROP TRIGGER conversations_tell ON conversations;
DROP TRIGGER conversations_tell_change ON conversations;
DROP TRIGGER conversations_search ON conversations;
DROP TRIGGER conversations_search_contact ON conversations;
DROP FUNCTION hum.tell_conversation(), hum.index_changed_conversation();

-- As hum.index_changed_call in 0021: conversations are made by the system too, which has no organization; and those whose
-- contact is deleted together with them can't be found any more.
-- Planned once: for arrays of one, most of them, the planner would else plan anew each time, which takes longer than they do.
CREATE FUNCTION hum.index_conversations(threads uuid[], orgs uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    was text := current_setting('hum.org_id', true);
    org uuid;
BEGIN
    IF current_setting('hum.unlinking', true) = 'on' THEN
        DELETE FROM text_search WHERE conversation_id = ANY (threads);
        RETURN;
    END IF;
    FOR org IN SELECT DISTINCT each FROM unnest(orgs) AS each LOOP
        PERFORM set_config('hum.org_id', org::text, true);
        INSERT INTO text_search (org_id, conversation_id, words)
        -- One by one, by their keys: of tables that are new the planner knows nothing, and would read all of the organization's.
        SELECT c.org_id, c.id,
               array_to_tsvector(hum.phone_words(c.contact_e164) || hum.words_of(coalesce(
                   (SELECT concat_ws(' ', k.name, k.company) FROM contacts k WHERE k.id = c.contact_id), '')))
          FROM unnest(threads) AS each (id)
         CROSS JOIN LATERAL (SELECT org_id, id, contact_e164, contact_id FROM conversations WHERE id = each.id OFFSET 0) c
         WHERE c.org_id = org
        ON CONFLICT (conversation_id) WHERE message_id IS NULL DO UPDATE SET words = excluded.words;
    END LOOP;
    PERFORM set_config('hum.org_id', coalesce(was, ''), true);
END
$$;
REVOKE EXECUTE ON FUNCTION hum.index_conversations(uuid[], uuid[]) FROM public;

CREATE FUNCTION hum.take_conversations() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    moved record;
    rewritten record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(org_id) AS orgs, array_agg(id) AS ids INTO moved FROM after;
        rewritten := moved;
    ELSE
        SELECT array_agg(org_id) AS orgs, array_agg(id) AS ids INTO moved
          FROM (SELECT org_id, id, number_id, contact_id, status, assignee_id, ai_paused_reason, snoozed_until, flow_id, unread_count,
                       last_message_at FROM after
                EXCEPT ALL
                SELECT org_id, id, number_id, contact_id, status, assignee_id, ai_paused_reason, snoozed_until, flow_id, unread_count,
                       last_message_at FROM before) each;
        IF moved.orgs IS NULL THEN
            RETURN NULL;
        END IF;
        SELECT array_agg(org_id) AS orgs, array_agg(id) AS ids INTO rewritten
          FROM (SELECT org_id, id, contact_id FROM after EXCEPT ALL SELECT org_id, id, contact_id FROM before) each;
    END IF;
    INSERT INTO inbox_changes (org_id, conversation_id, made)
    SELECT org_id, id, TG_OP = 'INSERT' FROM unnest(moved.orgs, moved.ids) AS each (org_id, id);
    IF rewritten.ids IS NOT NULL THEN
        PERFORM hum.index_conversations(rewritten.ids, rewritten.orgs);
    END IF;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION hum.take_conversations() FROM public;
CREATE TRIGGER conversations_made AFTER INSERT ON conversations
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION hum.take_conversations();
CREATE TRIGGER conversations_changed AFTER UPDATE ON conversations
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION hum.take_conversations();

CREATE OR REPLACE FUNCTION hum.index_conversations_of_contact() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    was text := current_setting('hum.org_id', true);
    threads uuid[];
BEGIN
    PERFORM set_config('hum.org_id', NEW.org_id::text, true);
    threads := ARRAY(SELECT c.id FROM conversations c WHERE c.contact_id = NEW.id);
    PERFORM set_config('hum.org_id', coalesce(was, ''), true);
    PERFORM hum.index_conversations(threads, ARRAY[NEW.org_id]);
    RETURN NULL;
END
$$;
DROP FUNCTION hum.index_conversation(uuid);

-- The rest of what is told.  Who follows the inbox looks for it several times a second; a notification would be sent under a
-- lock that all commits with one take in turn.
CREATE OR REPLACE FUNCTION hum.tell_media() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, message_id) VALUES (NEW.org_id, NEW.message_id);
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION hum.tell_opt_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, conversation_id)
    SELECT c.org_id, c.id FROM conversations c WHERE c.org_id = NEW.org_id AND c.contact_e164 = NEW.contact_e164;
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION hum.tell_contact() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, conversation_id)
    SELECT c.org_id, c.id FROM conversations c WHERE c.contact_id = NEW.id;
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION hum.tell_campaign() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, campaign_id) VALUES (NEW.org_id, NEW.id);
    RETURN NULL;
END
$$;
DROP TRIGGER campaign_counts_tell ON campaign_counts;
CREATE FUNCTION hum.tell_counts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, campaign_id) VALUES (NEW.org_id, NEW.campaign_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER campaign_counts_tell AFTER INSERT OR UPDATE ON campaign_counts FOR EACH ROW EXECUTE FUNCTION hum.tell_counts();

-- What else follows from texts -----------------------------------------------------------------------------------------

-- How many senders of texts were looked up at the carrier for an organization on a day (UTC): each costs money.
CREATE TABLE lookup_days (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    day date NOT NULL,
    count integer NOT NULL,
    PRIMARY KEY (org_id, day)
);
CALL hum.tenant_table('lookup_days');

-- When the carrier's list was first looked through for an attempt: from then on, and not while nobody was there to look, the time
-- runs after which the attempt counts as unknown.
ALTER TABLE message_attempts ADD COLUMN sought_at timestamptz;

-- The carrier says that a number can't be texted: a landline, or none at all.  Until a text comes from it, or reaches it.
ALTER TABLE contacts ADD COLUMN untextable_code text;

-- Search: as in 0032, and before that a look at the latest conversations, if the query is so short that most of them may hold it:
-- whatever begins with few letters or digits is read whole from the index of words before the first row is found.
CREATE OR REPLACE FUNCTION hum.search_conversations(
    query text, digits text, before_at timestamptz, before_id uuid, most integer, wanted_status text, assignee uuid,
    nobody boolean, unread boolean, snoozed boolean, number uuid)
RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER ROWS 50 SET search_path = pg_catalog, public AS $$
DECLARE
    few CONSTANT integer := 5000;
    -- Words of fewer characters are looked for among so many pages of the latest conversations first.
    short CONSTANT integer := 6;
    pages CONSTANT integer := 4;
    words text[] := hum.words_of(query) || coalesce(digits, '');
    -- words_of leaves letters and digits alone, so there is nothing to quote.
    said tsquery := coalesce(
        (SELECT string_agg(format('''%s'':*', word), ' & ') FROM unnest(hum.words_of(query)) AS word), '')::tsquery;
    wanted tsquery := CASE WHEN digits IS NULL THEN said ELSE (digits || ':*')::tsquery || said END;
    holders CONSTANT text := format(
        'SELECT s.conversation_id FROM text_search s WHERE s.org_id = %L AND s.words @@ %L::tsquery', hum.org_id(), wanted);
    holds CONSTANT text := ' AND (SELECT true FROM text_search s WHERE s.conversation_id = c.id AND s.words @@ $9 LIMIT 1)';
    ordered CONSTANT text := ' ORDER BY c.active_at DESC, c.id DESC LIMIT ';
    filtered CONSTANT text := 'SELECT c.id, c.active_at FROM conversations c WHERE c.org_id = $1'
        || CASE WHEN before_at IS NULL THEN '' ELSE ' AND (c.active_at, c.id) < ($3, $4)' END
        || CASE WHEN wanted_status IS NULL THEN '' ELSE ' AND c.status = $5' END
        || CASE WHEN assignee IS NULL THEN '' ELSE ' AND c.assignee_id = $6' END
        || CASE WHEN nobody THEN ' AND c.assignee_id IS NULL' ELSE '' END
        || CASE WHEN unread IS NULL THEN '' WHEN unread THEN ' AND c.unread_count > 0' ELSE ' AND c.unread_count = 0' END
        || CASE WHEN snoozed IS NULL THEN '' WHEN snoozed THEN ' AND c.snoozed_until > now()'
                ELSE ' AND (c.snoozed_until IS NULL OR c.snoozed_until <= now())' END
        || CASE WHEN number IS NULL THEN '' ELSE ' AND c.number_id = $7' END;
    guess json;
    found uuid[];
BEGIN
    IF (SELECT min(length(word)) FROM unnest(words) AS word WHERE word <> '') < short THEN
        EXECUTE 'SELECT ARRAY(SELECT c.id FROM (' || filtered || ordered || pages * most || ') c WHERE true' || holds || ordered || '$8)'
            INTO found
            USING hum.org_id(), found, before_at, before_id, wanted_status, assignee, number, most, wanted;
        IF cardinality(found) = most THEN
            RETURN QUERY SELECT unnest(found);
            RETURN;
        END IF;
        found := NULL;
    END IF;
    -- Only a volatile function may ask for a plan; this one changes nothing.
    EXECUTE 'EXPLAIN (FORMAT json) ' || holders INTO guess;
    IF (guess -> 0 -> 'Plan' ->> 'Plan Rows')::float8 <= few THEN
        EXECUTE format('SELECT ARRAY(%s LIMIT %s)', holders, few + 1) INTO found;
    END IF;
    RETURN QUERY EXECUTE 'SELECT c.id FROM (' || filtered
        || CASE WHEN cardinality(found) <= few THEN ' AND c.id = ANY ($2)' ELSE holds END
        || ordered || '$8) c'
    USING hum.org_id(), found, before_at, before_id, wanted_status, assignee, number, most, wanted;
END
$$;
