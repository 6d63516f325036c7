-- Searches of the inbox don't grow with it.  A page is of the latest conversations that hold a word; an index of words knows no
-- order, so that a word of many was either read whole, or looked for from the latest conversation on.  Now words are in the index
-- once more with the generation in which their conversation was active: some thousands of messages of an organization, and a page
-- is in the last few.

-- An organization's generations after the first, 0, which has none of this: what there was before.  A conversation is of the one in which
-- it was active last, by `active_at`.  No two organizations have the same number, so that neither's words are read for the other.
CREATE SEQUENCE text_generation_numbers AS integer;
GRANT USAGE ON SEQUENCE text_generation_numbers TO hum_app, hum_system;
CREATE TABLE text_generations (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    number integer NOT NULL DEFAULT nextval('text_generation_numbers'),
    opened_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, number)
);
CALL hum.tenant_table('text_generations');
REVOKE UPDATE, DELETE ON text_generations FROM hum_app;
CREATE POLICY door ON text_generations FOR SELECT TO hum_owner USING (org_id = (SELECT hum.org_id()));

ALTER TABLE conversations ADD COLUMN generation integer NOT NULL DEFAULT 0;
ALTER TABLE text_search
    ADD COLUMN generation integer NOT NULL DEFAULT 0,  -- of the conversation, in its own row
    -- Words with a generation.  In a conversation's own row all of its words, as it came into the generation; in a message's row its
    -- words, with the generation of that time: what is stale there finds nothing, because the conversation is not of it any more.
    ADD COLUMN recent tsvector;
CREATE INDEX text_search_recent ON text_search USING gin (recent) WITH (fastupdate = on, gin_pending_list_limit = 64)
    WHERE recent IS NOT NULL;
ALTER TABLE text_search ALTER COLUMN recent SET STATISTICS 0;

-- A new generation begins with about one message in eight thousand, by chance: nobody counts, so nobody waits.  At the end of the
-- transaction, so that it is seen by others as soon as it is open.
CREATE FUNCTION hum.open_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO text_generations (org_id, opened_at) VALUES (NEW.org_id, clock_timestamp());
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER messages_open_generation AFTER INSERT ON messages DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (uuid_hash(NEW.id) & 8191 = 0) EXECUTE FUNCTION hum.open_generation();

CREATE FUNCTION hum.take_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.generation := coalesce((SELECT number FROM text_generations
                                 WHERE org_id = NEW.org_id AND opened_at <= NEW.active_at ORDER BY number DESC LIMIT 1), 0);
    RETURN NEW;
END
$$;
CREATE TRIGGER conversations_begin BEFORE INSERT ON conversations FOR EACH ROW EXECUTE FUNCTION hum.take_generation();
CREATE TRIGGER conversations_move BEFORE UPDATE OF active_at ON conversations
    FOR EACH ROW WHEN (NEW.active_at > OLD.active_at) EXECUTE FUNCTION hum.take_generation();

-- Too many words have a mark instead, which every search finds: whether they hold what is wanted is looked up then anyway.
CREATE FUNCTION hum.recent_words(generation integer, words text[]) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN generation > 0 THEN array_to_tsvector(
        CASE WHEN cardinality(words) > 3000 OR length(array_to_string(words, '')) > 100000 THEN ARRAY[generation || '!']
             ELSE ARRAY(SELECT generation || ':' || word FROM unnest(words) AS word) END) END
$$;

-- As in 0044, with what is recent.  Rows are locked first and read afterwards, so that of two changes at once the later one has seen
-- the other's.
CREATE OR REPLACE FUNCTION hum.index_conversations(threads uuid[], orgs uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    was text := current_setting('hum.org_id', true);
    org uuid;
BEGIN
    IF current_setting('hum.unlinking', true) = 'on' THEN
        DELETE FROM text_search WHERE conversation_id = ANY (threads);
        RETURN;
    END IF;
    PERFORM FROM text_search s WHERE s.conversation_id = ANY (threads) AND s.message_id IS NULL
      ORDER BY s.conversation_id FOR NO KEY UPDATE;
    FOR org IN SELECT DISTINCT each FROM unnest(orgs) AS each LOOP
        PERFORM set_config('hum.org_id', org::text, true);
        INSERT INTO text_search (org_id, conversation_id, generation, words, recent)
        -- One by one, by their keys: of tables that are new the planner knows nothing, and would read all of the organization's.
        SELECT c.org_id, c.id, c.generation, array_to_tsvector(own.words),
               hum.recent_words(c.generation, own.words || ARRAY(
                   SELECT DISTINCT word FROM text_search s, unnest(tsvector_to_array(s.words)) AS word
                    WHERE c.generation > 0 AND s.conversation_id = c.id AND s.message_id IS NOT NULL))
          FROM unnest(threads) AS each (id)
         CROSS JOIN LATERAL (SELECT org_id, id, generation, contact_e164, contact_id FROM conversations WHERE id = each.id OFFSET 0) c
         CROSS JOIN LATERAL (SELECT hum.phone_words(c.contact_e164) || hum.words_of(coalesce(
                   (SELECT concat_ws(' ', k.name, k.company) FROM contacts k WHERE k.id = c.contact_id), '')) AS words OFFSET 0) own
         WHERE c.org_id = org
        ON CONFLICT (conversation_id) WHERE message_id IS NULL
        DO UPDATE SET generation = excluded.generation, words = excluded.words, recent = excluded.recent;
    END LOOP;
    PERFORM set_config('hum.org_id', coalesce(was, ''), true);
END
$$;

-- As in 0044; indexed anew is also what came into another generation.
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
                       last_message_at FROM after
                EXCEPT ALL
                SELECT org_id, id, number_id, contact_id, status, assignee_id, ai_paused_reason, snoozed_until, flow_id, unread_count,
                       last_message_at FROM before) each;
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

-- As in 0044.  A conversation that lost its own row with its contact gets it again.  Rows are looked up one by one, in plans that are no
-- worse when the table has grown since.
CREATE OR REPLACE FUNCTION hum.take_messages() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET enable_seqscan = off AS $$
DECLARE
    bare record;
BEGIN
    INSERT INTO inbox_changes (org_id, message_id, made) SELECT org_id, id, true FROM after;
    SELECT array_agg(a.conversation_id) AS ids, array_agg(a.org_id) AS orgs INTO bare FROM after a
     WHERE (SELECT s.generation FROM text_search s WHERE s.conversation_id = a.conversation_id AND s.message_id IS NULL) IS NULL;
    IF bare.ids IS NOT NULL THEN
        PERFORM hum.index_conversations(ARRAY(SELECT DISTINCT unnest(bare.ids)), bare.orgs);
    END IF;
    INSERT INTO text_search (org_id, conversation_id, message_id, words, recent)
    SELECT a.org_id, a.conversation_id, a.id, array_to_tsvector(said.words), hum.recent_words(
               (SELECT s.generation FROM text_search s WHERE s.conversation_id = a.conversation_id AND s.message_id IS NULL),
               said.words)
      FROM after a CROSS JOIN LATERAL (SELECT hum.words_of(left(a.body, 10000)) AS words OFFSET 0) said
     WHERE a.body <> '';
    RETURN NULL;
END
$$;

-- What is deleted is in nobody's words any more.
CREATE FUNCTION hum.forget_messages() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET enable_seqscan = off AS $$
DECLARE
    left_behind record;
BEGIN
    SELECT array_agg(each.conversation_id) AS ids, array_agg(each.org_id) AS orgs INTO left_behind
      FROM (SELECT DISTINCT org_id, conversation_id FROM before) each
     WHERE (SELECT s.generation FROM text_search s WHERE s.conversation_id = each.conversation_id AND s.message_id IS NULL) > 0;
    IF left_behind.ids IS NOT NULL THEN
        PERFORM hum.index_conversations(left_behind.ids, left_behind.orgs);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER messages_gone AFTER DELETE ON messages
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION hum.forget_messages();

-- The page of those that `filtered` selects and that hold `wanted`, which is `words` or `digits`: from the last generations.  Null: it is
-- not in these, or they hold so many that it is found sooner on the way from the latest conversation.
CREATE FUNCTION hum.search_generations(
    words text[], digits text, wanted tsquery, filtered text, before_at timestamptz, before_id uuid, most integer, wanted_status text,
    assignee uuid, number_id uuid)
RETURNS uuid[] LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public AS $$
DECLARE
    most_rows CONSTANT integer := 2000;
    most_generations CONSTANT integer := 127;
    -- So long a new generation may be unseen by others, and their clocks be wrong.
    slack CONSTANT interval := '30 seconds';
    numbers integer[] := ARRAY(SELECT g.number FROM text_generations g
                                WHERE g.org_id = hum.org_id() AND g.opened_at <= coalesce(before_at, 'infinity')
                                ORDER BY g.number DESC LIMIT most_generations);
    these integer[];
    rows integer := 0;
    holders uuid[];
    found record;
    ids uuid[] := '{}';
    ats timestamptz[] := '{}';
    sure_from timestamptz;
BEGIN
    -- One, then two more, then four: at most twice as many as are needed.
    WHILE cardinality(numbers) > 0 LOOP
        these := numbers[:coalesce(cardinality(these), 0) * 2 + CASE WHEN these IS NULL THEN 1 ELSE 0 END];
        numbers := numbers[cardinality(these) + 1:];
        EXECUTE format('SELECT ARRAY(SELECT s.conversation_id FROM text_search s WHERE s.org_id = %L AND s.recent @@ %L LIMIT %s)',
            hum.org_id(),
            (SELECT string_agg(concat_ws(' | ', format('''%s!''', each),
                        CASE WHEN digits <> '' THEN format('''%s:%s'':*', each, digits) END,
                        (SELECT string_agg(format('''%s:%s'':*', each, word), ' & ') FROM unnest(words) AS word)), ' | ')
               FROM unnest(these) AS each)::tsquery,
            most_rows) INTO holders;
        rows := rows + cardinality(holders);
        IF rows >= most_rows THEN
            RETURN NULL;
        END IF;
        EXECUTE 'SELECT coalesce(array_agg(id), ''{}'') AS ids, coalesce(array_agg(active_at), ''{}'') AS ats FROM (SELECT * FROM ('
            || filtered || ' AND c.id = ANY ($2) AND c.generation = ANY ($10) ORDER BY c.active_at DESC, c.id DESC OFFSET 0) c'
            || ' WHERE (SELECT true FROM text_search s WHERE s.conversation_id = c.id AND s.words @@ $9 LIMIT 1) LIMIT $8) each'
            INTO found
            USING hum.org_id(), holders, before_at, before_id, wanted_status, assignee, number_id, most, wanted, these;
        ids := ids || found.ids;
        ats := ats || found.ats;
        -- Whatever is of an earlier generation was active before this.
        sure_from := slack + (SELECT g.opened_at FROM text_generations g
                               WHERE g.org_id = hum.org_id() AND g.number = these[cardinality(these)]);
        IF (SELECT count(*) FROM unnest(ats) AS at WHERE at >= sure_from) >= most THEN
            RETURN ARRAY(SELECT id FROM unnest(ids, ats) AS each (id, at) ORDER BY at DESC, id DESC LIMIT most);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- As in 0044, and before an index is read whole, or the latest conversations are gone through, a look at the last generations.
CREATE OR REPLACE FUNCTION hum.search_conversations(
    query text, digits text, before_at timestamptz, before_id uuid, most integer, wanted_status text, assignee uuid,
    nobody boolean, unread boolean, snoozed boolean, number uuid)
RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER ROWS 50 SET search_path = pg_catalog, public SET enable_seqscan = off AS $$
DECLARE
    -- Rows that are read and put in order whatever they are, and those that are if the last generations don't have a page.
    very_few CONSTANT integer := 400;
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
    guessed float8;
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
    guessed := (guess -> 0 -> 'Plan' ->> 'Plan Rows')::float8;
    IF guessed > very_few THEN
        found := hum.search_generations(
            hum.words_of(query), digits, wanted, filtered, before_at, before_id, most, wanted_status, assignee, number);
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
REVOKE EXECUTE ON FUNCTION hum.forget_messages(),
    hum.search_generations(text[], text, tsquery, text, timestamptz, uuid, integer, text, uuid, uuid) FROM public;
