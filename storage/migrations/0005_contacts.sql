-- Contacts with what each source says of them, their search and their backfill; voicemails; call search by page.

-- Contacts --------------------------------------------------------------------------------------------------------

-- A field is what the user says, or else the CRM, or else the carrier's Lookup.  All three are kept, so a value that is
-- taken back uncovers the one below it, and a source that comes late covers nothing.  The precedence stands here alone:
-- the fields are generated.
ALTER TABLE contacts
    ADD COLUMN said_by_user jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN said_by_crm jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN said_by_lookup jsonb NOT NULL DEFAULT '{}';
SET LOCAL ROLE hum_system;
UPDATE contacts SET said_by_lookup = jsonb_build_object('name', name, 'caller_name', name) WHERE name IS NOT NULL;
SET LOCAL ROLE hum_owner;
ALTER TABLE contacts
    DROP COLUMN name,
    ADD COLUMN name text GENERATED ALWAYS AS ((said_by_lookup || said_by_crm || said_by_user) ->> 'name') STORED,
    ADD COLUMN email text GENERATED ALWAYS AS ((said_by_lookup || said_by_crm || said_by_user) ->> 'email') STORED,
    ADD COLUMN company text GENERATED ALWAYS AS ((said_by_lookup || said_by_crm || said_by_user) ->> 'company') STORED,
    ADD COLUMN attributes_json text
        GENERATED ALWAYS AS ((said_by_lookup || said_by_crm || said_by_user) ->> 'attributes_json') STORED,
    ADD COLUMN carrier text GENERATED ALWAYS AS ((said_by_lookup || said_by_crm || said_by_user) ->> 'carrier') STORED,
    ADD COLUMN line_type text
        GENERATED ALWAYS AS ((said_by_lookup || said_by_crm || said_by_user) ->> 'line_type') STORED,
    ADD COLUMN caller_name text
        GENERATED ALWAYS AS ((said_by_lookup || said_by_crm || said_by_user) ->> 'caller_name') STORED,
    ADD COLUMN notes text,
    ADD COLUMN tags text[] NOT NULL DEFAULT '{}',
    -- Who asks the carrier about it now, so that others need not; and when it last answered.
    ADD COLUMN lookup_claimed_at timestamptz,
    ADD COLUMN looked_up_at timestamptz,
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX contacts_page ON contacts (org_id, id DESC);
CREATE INDEX contacts_never_looked_up ON contacts (org_id, id) WHERE looked_up_at IS NULL;

-- Of what is said, that which was not known.
CREATE FUNCTION hum.news(known jsonb, said jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(said) WHERE value IS DISTINCT FROM known -> key
$$;

-- The tags once more, in the order of the list; kept by a trigger.
CREATE TABLE contact_tags (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    contact_id uuid NOT NULL REFERENCES contacts ON DELETE CASCADE,
    tag text NOT NULL,
    PRIMARY KEY (contact_id, tag)
);
CREATE INDEX contact_tags_page ON contact_tags (org_id, tag, contact_id DESC);
CALL hum.tenant_table('contact_tags');
CREATE FUNCTION hum.keep_contact_tags() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM contact_tags WHERE contact_id = NEW.id AND tag <> ALL (NEW.tags);
    INSERT INTO contact_tags (org_id, contact_id, tag) SELECT NEW.org_id, NEW.id, unnest(NEW.tags) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER contacts_tags_made AFTER INSERT ON contacts
    FOR EACH ROW WHEN (NEW.tags <> '{}') EXECUTE FUNCTION hum.keep_contact_tags();
CREATE TRIGGER contacts_tags_changed AFTER UPDATE OF tags ON contacts
    FOR EACH ROW WHEN (OLD.tags <> NEW.tags) EXECUTE FUNCTION hum.keep_contact_tags();

-- A backfill's place in the calls, which is also how far it is.
CREATE TABLE contact_backfills (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    lookup boolean NOT NULL,
    calls_total bigint NOT NULL,
    calls_seen bigint NOT NULL DEFAULT 0,
    contacts_created bigint NOT NULL DEFAULT 0,
    calls_linked bigint NOT NULL DEFAULT 0,
    lookups bigint NOT NULL DEFAULT 0,
    -- The calls that it has not looked at are below this; and then the contacts that it has not are above this.
    before_at timestamptz NOT NULL DEFAULT now(),
    before_id uuid NOT NULL DEFAULT 'ffffffff-ffff-ffff-ffff-ffffffffffff',
    after_contact uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE UNIQUE INDEX contact_backfills_running ON contact_backfills (org_id) WHERE ended_at IS NULL;
CREATE INDEX contact_backfills_latest ON contact_backfills (org_id, id DESC);
CALL hum.tenant_table('contact_backfills');

-- Voicemails ------------------------------------------------------------------------------------------------------

CREATE TABLE voicemails (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL UNIQUE REFERENCES calls ON DELETE CASCADE,
    audio_path text NOT NULL,
    duration_ms integer NOT NULL,
    transcript text,
    heard_at timestamptz,
    heard_by text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX voicemails_page ON voicemails (org_id, id DESC);
CREATE INDEX voicemails_unheard ON voicemails (org_id, id DESC) WHERE heard_at IS NULL;
CALL hum.tenant_table('voicemails');

-- Words -----------------------------------------------------------------------------------------------------------

-- Text as it is compared: small letters, one form for each letter, no accents.
CREATE FUNCTION hum.folded(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT lower(regexp_replace(normalize($1, NFKD), U&'[\0300-\036F]', '', 'g'))
$$;

-- The letters and digits of a text, folded, word by word.
CREATE FUNCTION hum.words_of(text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT left(word, 100)), '{}')
      FROM regexp_split_to_table(hum.folded($1), '[^[:alnum:]]+') AS word
     WHERE word <> ''
$$;

-- A phone number as words: its digits from each place on, so that the beginning of a word finds any part of a number.
CREATE FUNCTION hum.phone_words(text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN $1 ~ '^\+[0-9]{1,20}$'
                THEN ARRAY(SELECT substr($1, place) FROM generate_series(2, greatest(2, length($1) - 2)) AS place)
                ELSE hum.words_of($1) END
$$;

-- Search of contacts ----------------------------------------------------------------------------------------------

-- As call_search in 0001: no grant to the application, one door.  Kept by a trigger.
CREATE TABLE contact_search (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    contact_id uuid PRIMARY KEY REFERENCES contacts ON DELETE CASCADE,
    words tsvector NOT NULL
);
-- Without a list of pending entries, which every search would have to read.
CREATE INDEX contact_search_words ON contact_search USING gin (words) WITH (fastupdate = off);
CREATE INDEX contact_search_page ON contact_search (org_id, contact_id DESC);
ALTER TABLE contact_search ALTER COLUMN words SET STATISTICS 1000;
ALTER TABLE contact_search ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON contact_search TO hum_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON contact_search TO hum_system;

CREATE FUNCTION hum.index_contact() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO contact_search (org_id, contact_id, words)
    VALUES (NEW.org_id, NEW.id,
            array_to_tsvector(hum.phone_words(NEW.phone_e164)
                              || hum.words_of(concat_ws(' ', NEW.name, NEW.email, NEW.company, NEW.caller_name))))
    ON CONFLICT (contact_id) DO UPDATE SET words = excluded.words;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION hum.index_contact() FROM public;
SET LOCAL ROLE hum_system;
INSERT INTO contact_search (org_id, contact_id, words)
SELECT org_id, id, array_to_tsvector(hum.phone_words(phone_e164) || hum.words_of(name)) FROM contacts;
SET LOCAL ROLE hum_owner;
CREATE TRIGGER contacts_search AFTER INSERT OR UPDATE OF name, email, company, caller_name ON contacts
    FOR EACH ROW EXECUTE FUNCTION hum.index_contact();

-- The newest contacts below `before` that hold words beginning with those of the query, or these digits in their number.
-- Planned anew for its arguments: a frequent word is found on the way from the newest, a rare one by its index.
CREATE POLICY door ON contact_tags FOR SELECT TO hum_owner USING (org_id = (SELECT hum.org_id()));
CREATE FUNCTION hum.search_contacts(query text, digits text, tag text, before uuid, most integer)
RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 50 SET search_path = pg_catalog, public AS $$
DECLARE
    -- words_of leaves letters and digits alone, so there is nothing to quote.
    wanted tsquery := CASE WHEN digits IS NOT NULL THEN (digits || ':*')::tsquery
        ELSE coalesce((SELECT string_agg(format('''%s'':*', word), ' & ') FROM unnest(hum.words_of(query)) AS word), '')::tsquery
        END;
BEGIN
    RETURN QUERY EXECUTE 'SELECT s.contact_id FROM contact_search s'
        || CASE WHEN tag IS NULL THEN '' ELSE ' JOIN contact_tags t ON t.contact_id = s.contact_id AND t.tag = $4' END
        || ' WHERE s.org_id = $1 AND s.words @@ $2 AND ($3 IS NULL OR s.contact_id < $3)'
        || ' ORDER BY s.contact_id DESC LIMIT $5'
    USING hum.org_id(), wanted, before, tag, most;
END
$$;
REVOKE EXECUTE ON FUNCTION hum.search_contacts(text, text, text, uuid, integer) FROM public;
GRANT EXECUTE ON FUNCTION hum.search_contacts(text, text, text, uuid, integer) TO hum_app;

-- Search of calls -------------------------------------------------------------------------------------------------

-- The number at the other end.
ALTER TABLE calls ADD COLUMN contact_e164 text
    GENERATED ALWAYS AS (CASE direction WHEN 'inbound' THEN from_e164 ELSE to_e164 END) STORED;

-- Each filter of the list has an index that is in the list's order.
DROP INDEX calls_flow, calls_contact;
CREATE INDEX calls_flow ON calls (flow_id, created_at DESC, id DESC) WHERE flow_id IS NOT NULL;
CREATE INDEX calls_number ON calls (number_id, created_at DESC, id DESC) WHERE number_id IS NOT NULL;
CREATE INDEX calls_contact ON calls (contact_id, created_at DESC, id DESC) WHERE contact_id IS NOT NULL;
CREATE INDEX calls_contact_e164 ON calls (org_id, contact_e164, created_at DESC, id DESC);
CREATE INDEX calls_direction ON calls (org_id, direction, created_at DESC, id DESC);
CREATE INDEX calls_status ON calls (org_id, status, created_at DESC, id DESC);
CREATE INDEX calls_outcome ON calls (org_id, outcome_label, created_at DESC, id DESC) WHERE outcome_label IS NOT NULL;

-- So has each tag: its rows know when their calls were.
ALTER TABLE call_tags ADD COLUMN called_at timestamptz;
SET LOCAL ROLE hum_system;
UPDATE call_tags t SET called_at = c.created_at FROM calls c WHERE c.id = t.call_id;
SET LOCAL ROLE hum_owner;
ALTER TABLE call_tags ALTER COLUMN called_at SET NOT NULL;
DROP INDEX call_tags_tag;
CREATE INDEX call_tags_page ON call_tags (org_id, tag, called_at DESC, call_id DESC);

ALTER TABLE call_search ADD COLUMN created_at timestamptz;
SET LOCAL ROLE hum_system;
UPDATE call_search s SET created_at = c.created_at FROM calls c WHERE c.id = s.call_id;
SET LOCAL ROLE hum_owner;
ALTER TABLE call_search ALTER COLUMN created_at SET NOT NULL;
ALTER TABLE call_search ALTER COLUMN words SET STATISTICS 1000;
DROP INDEX call_search_words, call_search_org;
CREATE INDEX call_search_words ON call_search USING gin (words) WITH (fastupdate = off);
CREATE INDEX call_search_page ON call_search (org_id, created_at DESC, call_id DESC);

-- Numbers, name, company, transcript and summary of one call of this organization, as words.  A text of half a million
-- letters is more than any call; tsvector takes no more than twice that.
CREATE OR REPLACE FUNCTION hum.index_call(call uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    INSERT INTO call_search (org_id, call_id, created_at, words)
    SELECT c.org_id, c.id, c.created_at,
           array_to_tsvector(hum.phone_words(c.from_e164) || hum.phone_words(c.to_e164))
           || to_tsvector('simple', left(hum.folded(concat_ws(' ',
                  (SELECT concat_ws(' ', k.name, k.company) FROM contacts k WHERE k.id = c.contact_id),
                  c.summary ->> 'text',
                  (SELECT string_agg(t.text, ' ' ORDER BY t.seq) FROM call_turns t WHERE t.call_id = c.id))), 500000))
      FROM calls c
     WHERE c.id = call AND c.org_id = (SELECT hum.org_id())
    ON CONFLICT (call_id) DO UPDATE SET words = excluded.words
$$;

-- A call can be found from the moment it is there, and by its contact's name as long as it has that contact.  Calls are
-- made by the system too, which has no organization: the index is given the call's own, and takes it back.
CREATE FUNCTION hum.index_changed_call() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    org text := current_setting('hum.org_id', true);
BEGIN
    PERFORM set_config('hum.org_id', NEW.org_id::text, true);
    PERFORM hum.index_call(NEW.id);
    PERFORM set_config('hum.org_id', coalesce(org, ''), true);
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION hum.index_changed_call() FROM public;
CREATE TRIGGER calls_search AFTER INSERT ON calls FOR EACH ROW EXECUTE FUNCTION hum.index_changed_call();
CREATE TRIGGER calls_search_contact AFTER UPDATE OF contact_id ON calls
    FOR EACH ROW WHEN (OLD.contact_id IS DISTINCT FROM NEW.contact_id) EXECUTE FUNCTION hum.index_changed_call();
SET LOCAL ROLE hum_system;
INSERT INTO call_search (org_id, call_id, created_at, words)
SELECT org_id, id, created_at, array_to_tsvector(hum.phone_words(from_e164) || hum.phone_words(to_e164)) FROM calls
    ON CONFLICT DO NOTHING;
SET LOCAL ROLE hum_owner;

-- The newest calls below (before_at, before_id) that the query finds and the filters let pass.  As for contacts, planned
-- anew for its arguments; other tables are joined only where they are asked.
DROP FUNCTION hum.search_calls(text);
CREATE FUNCTION hum.search_calls(
    query text, digits text, before_at timestamptz, before_id uuid, most integer, direction text, status text,
    flow uuid, number uuid, contact uuid, contact_phone text, tag text, outcome text, from_at timestamptz, to_at timestamptz)
RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 50 SET search_path = pg_catalog, public AS $$
DECLARE
    said tsquery := websearch_to_tsquery('simple', hum.folded(query));
    wanted tsquery := CASE WHEN digits IS NULL THEN said ELSE (digits || ':*')::tsquery || said END;
BEGIN
    RETURN QUERY EXECUTE 'SELECT s.call_id FROM call_search s'
        || CASE WHEN num_nonnulls(direction, status, flow, number, contact, contact_phone, outcome) = 0 THEN ''
           ELSE $sql$
          JOIN calls c ON c.id = s.call_id
           AND ($5 IS NULL OR c.direction = $5)
           AND ($6 IS NULL OR c.status = $6)
           AND ($7 IS NULL OR c.flow_id = $7)
           AND ($8 IS NULL OR c.number_id = $8)
           AND ($9 IS NULL OR c.contact_id = $9)
           AND ($10 IS NULL OR c.contact_e164 = $10)
           AND ($11 IS NULL OR c.outcome_label = $11) $sql$ END
        || CASE WHEN tag IS NULL THEN '' ELSE ' JOIN call_tags t ON t.call_id = s.call_id AND t.tag = $12' END || $sql$
         WHERE s.org_id = $1
           AND s.words @@ $2
           AND ($3 IS NULL OR (s.created_at, s.call_id) < ($3, $4))
           AND ($13 IS NULL OR s.created_at >= $13)
           AND ($14 IS NULL OR s.created_at < $14)
         ORDER BY s.created_at DESC, s.call_id DESC
         LIMIT $15 $sql$
    USING hum.org_id(), wanted, before_at, before_id, direction, status, flow, number, contact, contact_phone, outcome,
          tag, from_at, to_at, most;
END
$$;
CREATE POLICY door ON call_tags FOR SELECT TO hum_owner USING (org_id = (SELECT hum.org_id()));
REVOKE EXECUTE ON FUNCTION hum.search_calls(
    text, text, timestamptz, uuid, integer, text, text, uuid, uuid, uuid, text, text, text, timestamptz, timestamptz)
    FROM public;
GRANT EXECUTE ON FUNCTION hum.search_calls(
    text, text, timestamptz, uuid, integer, text, text, uuid, uuid, uuid, text, text, text, timestamptz, timestamptz)
    TO hum_app;
GRANT EXECUTE ON FUNCTION hum.index_call(uuid) TO hum_app;
