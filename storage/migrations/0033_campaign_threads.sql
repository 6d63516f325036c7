-- A campaign's conversations stay out of the inbox until somebody answers.

-- Only a campaign has opened the conversation, and nobody has written or worked on it since: neither the contact, nor a
-- person, a key or the AI.
ALTER TABLE conversations ADD COLUMN campaign_only boolean NOT NULL DEFAULT false;

-- Followers need not hear of each conversation that is older than the column.
ALTER TABLE conversations DISABLE TRIGGER conversations_changed;
SET LOCAL ROLE hum_system;
UPDATE conversations c SET campaign_only = true
 WHERE c.status = 'open' AND c.assignee_id IS NULL AND c.snoozed_until IS NULL AND c.unread_count = 0
   AND EXISTS (SELECT FROM messages m WHERE m.conversation_id = c.id AND m.sent_by = 'campaign')
   AND NOT EXISTS (SELECT FROM messages m WHERE m.conversation_id = c.id AND m.sent_by IS DISTINCT FROM 'campaign');
SET LOCAL ROLE hum_owner;
ALTER TABLE conversations ENABLE TRIGGER conversations_changed;

-- The inbox's lists in their order, however many recipients have been texted since.
CREATE INDEX conversations_worked ON conversations (org_id, status, active_at DESC, id DESC) WHERE NOT campaign_only;
CREATE INDEX conversations_campaigns ON conversations (org_id, active_at DESC, id DESC) WHERE campaign_only;

CREATE OR REPLACE FUNCTION hum.take_conversations() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    moved record;
    rewritten record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(org_id) AS orgs, array_agg(id) AS ids INTO moved FROM after;
        rewritten := moved;
    ELSE
        SELECT array_agg(org_id) AS orgs, array_agg(id) AS ids INTO rewritten
          FROM (SELECT org_id, id, contact_id, generation FROM after
                EXCEPT ALL SELECT org_id, id, contact_id, generation FROM before) each;
        SELECT array_agg(org_id) AS orgs, array_agg(id) AS ids INTO moved
          FROM (SELECT org_id, id, number_id, contact_id, status, assignee_id, ai_paused_reason, snoozed_until, flow_id, unread_count,
                       last_message_at, campaign_only FROM after
                EXCEPT ALL
                SELECT org_id, id, number_id, contact_id, status, assignee_id, ai_paused_reason, snoozed_until, flow_id, unread_count,
                       last_message_at, campaign_only FROM before) each;
    END IF;
    IF moved.orgs IS NOT NULL THEN
        INSERT INTO inbox_changes (org_id, conversation_id, made)
        SELECT org_id, id, TG_OP = 'INSERT' FROM unnest(moved.orgs, moved.ids) AS each (org_id, id);
    END IF;
    IF rewritten.ids IS NOT NULL THEN
        PERFORM hum.index_conversations(rewritten.ids, rewritten.orgs);
    END IF;
    RETURN NULL;
END
$$;

DROP FUNCTION hum.search_conversations(text,text,timestamp with time zone,uuid,integer,text,uuid,boolean,boolean,boolean,uuid);

-- Return the latest conversations below (before_at, before_id) that pass the filters and in which the contact's
-- number, name or company, or a message, holds words with the query's prefixes, or these digits. A short query is
-- first looked for in the latest conversations, since most may match; a rare word is found by the index, a frequent
-- one in the last generations or by walking from the latest conversation. The two tables are queried separately:
-- below policies PostgreSQL would not use the index. A row that is found by its conversation is checked by a function
-- instead of its operator, whose selectivity the planner would estimate each time.
CREATE FUNCTION hum.search_conversations(
    query text, digits text, before_at timestamptz, before_id uuid, most integer, wanted_status text, assignee uuid,
    nobody boolean, unread boolean, snoozed boolean, number uuid, of_campaign boolean)
RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER ROWS 50 SET search_path = pg_catalog, public SET enable_seqscan = off AS $$
DECLARE
    -- Matches that are read and sorted in any case, and those that are if the last generations have no page.
    very_few CONSTANT integer := 400;
    few CONSTANT integer := 5000;
    -- Shorter words are first looked for in so many pages of the latest conversations.
    short CONSTANT integer := 6;
    pages CONSTANT integer := 4;
    words text[] := hum.words_of(query) || coalesce(digits, '');
    -- Needs no quoting: words_of returns letters and digits only.
    said tsquery := coalesce(
        (SELECT string_agg(format('''%s'':*', word), ' & ') FROM unnest(hum.words_of(query)) AS word), '')::tsquery;
    wanted tsquery := CASE WHEN digits IS NULL THEN said ELSE (digits || ':*')::tsquery || said END;
    holders CONSTANT text := format(
        'SELECT s.conversation_id FROM text_search s WHERE s.org_id = %L AND s.words @@ %L::tsquery', hum.org_id(), wanted);
    holds CONSTANT text := ' AND (SELECT true FROM text_search s WHERE s.conversation_id = c.id AND ts_match_vq(s.words, $9) LIMIT 1)';
    ordered CONSTANT text := ' ORDER BY c.active_at DESC, c.id DESC LIMIT ';
    filtered CONSTANT text := 'SELECT c.id, c.active_at FROM conversations c WHERE c.org_id = $1'
        || CASE WHEN before_at IS NULL THEN '' ELSE ' AND (c.active_at, c.id) < ($3, $4)' END
        || CASE WHEN wanted_status IS NULL THEN '' ELSE ' AND c.status = $5' END
        || CASE WHEN assignee IS NULL THEN '' ELSE ' AND c.assignee_id = $6' END
        || CASE WHEN nobody THEN ' AND c.assignee_id IS NULL' ELSE '' END
        || CASE WHEN unread IS NULL THEN '' WHEN unread THEN ' AND c.unread_count > 0' ELSE ' AND c.unread_count = 0' END
        || CASE WHEN snoozed IS NULL THEN '' WHEN snoozed THEN ' AND c.snoozed_until > now()'
                ELSE ' AND (c.snoozed_until IS NULL OR c.snoozed_until <= now())' END
        || CASE WHEN number IS NULL THEN '' ELSE ' AND c.number_id = $7' END
        || CASE WHEN of_campaign IS NULL THEN '' WHEN of_campaign THEN ' AND c.campaign_only' ELSE ' AND NOT c.campaign_only' END;
    guess json;
    guessed float8;
    guessed_everywhere float8;  -- in all organizations, which share the index
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
    -- EXPLAIN requires a volatile function; this one changes nothing.
    EXECUTE 'EXPLAIN (FORMAT json) ' || holders INTO guess;
    guessed := (guess -> 0 -> 'Plan' ->> 'Plan Rows')::float8;
    guessed_everywhere := coalesce((guess #>> '{0,Plan,Plans,0,Plan Rows}')::float8, guessed);
    IF guessed > very_few THEN
        found := hum.search_generations(
            hum.words_of(query), digits, wanted, guessed_everywhere, filtered, before_at, before_id, most, wanted_status, assignee,
            number);
        IF found IS NOT NULL THEN
            RETURN QUERY SELECT unnest(found);
            RETURN;
        END IF;
    END IF;
    IF guessed <= few THEN
        EXECUTE format('SELECT ARRAY(%s LIMIT %s)', holders, few + 1) INTO found;
    END IF;
    RETURN QUERY EXECUTE 'SELECT c.id FROM (' || filtered
        || CASE WHEN cardinality(found) <= few THEN ' AND c.id = ANY ($2)' ELSE holds END
        || ordered || '$8) c'
    USING hum.org_id(), found, before_at, before_id, wanted_status, assignee, number, most, wanted;
END
$$;
REVOKE EXECUTE ON FUNCTION
    hum.search_conversations(text,text,timestamp with time zone,uuid,integer,text,uuid,boolean,boolean,boolean,uuid,boolean)
    FROM public;
GRANT EXECUTE ON FUNCTION
    hum.search_conversations(text,text,timestamp with time zone,uuid,integer,text,uuid,boolean,boolean,boolean,uuid,boolean)
    TO hum_app;
