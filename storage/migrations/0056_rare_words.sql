-- A search of the inbox for a word of a few conversations reads those, and not a hundred generations; and what the planner knows of
-- words is read once for a search.

-- The planner reads all that it knows of a column's words whenever it plans, ten words for each of these: in a large inbox that took
-- longer than the search.  Of a word that is too rare to be among them, the last generation tells that it is rare.
ALTER TABLE text_search ALTER COLUMN words SET STATISTICS 100;

DROP FUNCTION hum.search_generations(text[], text, tsquery, text, timestamptz, uuid, integer, text, uuid, uuid);

-- As in 0055: the page of those that `filtered` selects and that hold `wanted`, which is `words` or `digits`.  Null: it is not in the last
-- generations, or they hold so many that it is found sooner on the way from the latest conversation.  Now also words of few rows.
CREATE FUNCTION hum.search_generations(
    words text[], digits text, wanted tsquery, guessed_everywhere float8, filtered text, before_at timestamptz, before_id uuid,
    most integer, wanted_status text, assignee uuid, number_id uuid)
RETURNS uuid[] LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public AS $$
DECLARE
    most_rows CONSTANT integer := 2000;
    most_generations CONSTANT integer := 127;
    -- Words of so few rows are read whole: those that seem to be rare, and those without a page in the last generations.
    rare CONSTANT integer := 400;
    few CONSTANT integer := 5000;
    -- Unless there seem to be so many of all organizations: they are in one index.
    rare_everywhere CONSTANT integer := 50000;
    -- So long a new generation may be unseen by others, and their clocks be wrong.
    slack CONSTANT interval := '30 seconds';
    numbers CONSTANT integer[] := ARRAY(SELECT g.number FROM text_generations g
                                         WHERE g.org_id = hum.org_id() AND g.opened_at <= coalesce(before_at, 'infinity')
                                         ORDER BY g.number DESC LIMIT most_generations);
    ordered CONSTANT text := ' ORDER BY c.active_at DESC, c.id DESC ';
    looked integer := 0;
    these integer[];
    rows integer := 0;
    tried boolean := false;
    most_read integer;
    read record;
    -- What these generations hold and is not looked up yet.
    holders uuid[] := '{}';
    held_in integer[] := '{}';
    found record;
    ids uuid[] := '{}';
    ats timestamptz[] := '{}';
    sure_from timestamptz;
BEGIN
    -- Two, since the last one may have just begun, then four more, then eight: about twice as many as are needed.
    WHILE looked < cardinality(numbers) LOOP
        these := numbers[looked + 1:2 * looked + 2];
        looked := looked + cardinality(these);
        held_in := held_in || these;
        EXECUTE format('SELECT count(*) AS rows, coalesce(array_agg(DISTINCT conversation_id), ''{}'') AS holders FROM'
                       ' (SELECT s.conversation_id FROM text_search s WHERE s.org_id = %L AND s.recent @@ %L LIMIT %s) each',
            hum.org_id(),
            (SELECT string_agg(concat_ws(' | ', format('''%s!''', each),
                        CASE WHEN digits <> '' THEN format('''%s:%s'':*', each, digits) END,
                        (SELECT string_agg(format('''%s:%s'':*', each, word), ' & ') FROM unnest(words) AS word)), ' | ')
               FROM unnest(these) AS each)::tsquery,
            most_rows) INTO read;
        rows := rows + read.rows;
        holders := holders || read.holders;
        IF rows >= most_rows THEN
            RETURN NULL;
        END IF;

        IF cardinality(ids) + cardinality(holders) >= most THEN
            EXECUTE 'SELECT coalesce(array_agg(id), ''{}'') AS ids, coalesce(array_agg(active_at), ''{}'') AS ats FROM (SELECT * FROM ('
                || filtered || ' AND c.id = ANY ($2) AND c.generation = ANY ($10)' || ordered || 'OFFSET 0) c'
                || ' WHERE (SELECT true FROM text_search s WHERE s.conversation_id = c.id AND ts_match_vq(s.words, $9) LIMIT 1)'
                || ' LIMIT $8) each'
                INTO found
                USING hum.org_id(), holders, before_at, before_id, wanted_status, assignee, number_id, most, wanted, held_in;
            ids := ids || found.ids;
            ats := ats || found.ats;
            holders := '{}';
            held_in := '{}';
            -- Whatever is of an earlier generation was active before this.
            sure_from := slack + (SELECT g.opened_at FROM text_generations g
                                   WHERE g.org_id = hum.org_id() AND g.number = numbers[looked]);
            IF (SELECT count(*) FROM unnest(ats) AS at WHERE at >= sure_from) >= most THEN
                RETURN ARRAY(SELECT id FROM unnest(ids, ats) AS each (id, at) ORDER BY at DESC, id DESC LIMIT most);
            END IF;
        END IF;

        -- So few everywhere, if it is everywhere as here; or there is no page in any of these.
        most_read := CASE WHEN guessed_everywhere > rare_everywhere THEN NULL
                          WHEN looked = cardinality(numbers) THEN few
                          WHEN NOT tried AND rows * cardinality(numbers) <= rare * looked THEN most_rows END;
        IF most_read IS NOT NULL THEN
            tried := true;
            EXECUTE format('SELECT count(*) AS rows, array_agg(conversation_id) FILTER (WHERE org_id = %L) AS holders FROM'
                           ' (SELECT s.org_id, s.conversation_id FROM text_search s WHERE s.words @@ %L LIMIT %s) each',
                hum.org_id(), wanted, most_read) INTO read;
            IF read.rows < most_read AND (looked = cardinality(numbers) OR coalesce(cardinality(read.holders), 0) <= rare) THEN
                EXECUTE 'SELECT ARRAY(SELECT c.id FROM (' || filtered || ' AND c.id = ANY ($2)' || ordered || 'LIMIT $8) c) AS ids'
                    INTO found
                    USING hum.org_id(), read.holders, before_at, before_id, wanted_status, assignee, number_id, most;
                RETURN found.ids;
            END IF;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- As in 0055.  A row that is found by its conversation is asked by a function, not by its operator, of which the planner would look up how
-- often that holds.
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
        || CASE WHEN number IS NULL THEN '' ELSE ' AND c.number_id = $7' END;
    guess json;
    guessed float8;
    guessed_everywhere float8;  -- in all organizations, whose words the index holds together
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
    hum.search_generations(text[], text, tsquery, float8, text, timestamptz, uuid, integer, text, uuid, uuid) FROM public;
