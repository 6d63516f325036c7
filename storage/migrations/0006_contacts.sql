-- Contacts with what each source knows of them, their search, backfill, import and blocklist.

-- Return the entries of `said` that differ from `known`.
CREATE FUNCTION hum.news(known jsonb, said jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(said) WHERE value IS DISTINCT FROM known -> key
$$;

-- Normalize text for comparison: lower case, one form per letter, no accents.
CREATE FUNCTION hum.folded(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT lower(regexp_replace(normalize($1, NFKD), U&'[\0300-\036F]', '', 'g'))
$$;

-- Split text into normalized words of letters and digits.
CREATE FUNCTION hum.words_of(text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT left(word, 100)), '{}')
      FROM regexp_split_to_table(hum.folded($1), '[^[:alnum:]]+') AS word
     WHERE word <> ''
$$;

-- Return a phone number's digits from each position on, so that a prefix search finds any part of the number.
CREATE FUNCTION hum.phone_words(text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN $1 ~ '^\+[0-9]{1,20}$'
                THEN ARRAY(SELECT substr($1, place) FROM generate_series(2, greatest(2, length($1) - 2)) AS place)
                ELSE hum.words_of($1) END
$$;

CREATE TABLE contacts (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    phone_e164 text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- A field has the user's value, else the CRM's, else that of the carrier's Lookup. All three are stored, so that
    -- deleting one uncovers the next, and the order in which sources answer does not matter. The precedence is
    -- defined here alone, by generated columns.
    said_by_user jsonb NOT NULL DEFAULT '{}',
    said_by_crm jsonb NOT NULL DEFAULT '{}',
    said_by_lookup jsonb NOT NULL DEFAULT '{}',
    name text GENERATED ALWAYS AS ((said_by_lookup || said_by_crm || said_by_user) ->> 'name') STORED,
    email text GENERATED ALWAYS AS ((said_by_lookup || said_by_crm || said_by_user) ->> 'email') STORED,
    company text GENERATED ALWAYS AS ((said_by_lookup || said_by_crm || said_by_user) ->> 'company') STORED,
    attributes_json text
        GENERATED ALWAYS AS ((said_by_lookup || said_by_crm || said_by_user) ->> 'attributes_json') STORED,
    carrier text GENERATED ALWAYS AS ((said_by_lookup || said_by_crm || said_by_user) ->> 'carrier') STORED,
    line_type text
        GENERATED ALWAYS AS ((said_by_lookup || said_by_crm || said_by_user) ->> 'line_type') STORED,
    caller_name text
        GENERATED ALWAYS AS ((said_by_lookup || said_by_crm || said_by_user) ->> 'caller_name') STORED,
    notes text,
    tags text[] NOT NULL DEFAULT '{}',
    -- The worker that has claimed the lookup, and the time of the last answer.
    lookup_claimed_at timestamptz,
    looked_up_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- The carrier reported that the number cannot receive texts (a landline, or unassigned); cleared when a text
    -- arrives from it or reaches it.
    untextable_code text,
    UNIQUE (org_id, phone_e164)
);
CREATE INDEX contacts_page ON contacts (org_id, id DESC);
CREATE INDEX contacts_never_looked_up ON contacts (org_id, id) WHERE looked_up_at IS NULL;
CALL hum.tenant_table('contacts');
CREATE POLICY door ON contacts FOR SELECT TO hum_owner USING (org_id = (SELECT hum.org_id()));

-- One row per tag, with the contact's position for lists; maintained by a trigger.
CREATE TABLE contact_tags (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    contact_id uuid NOT NULL REFERENCES contacts ON DELETE CASCADE,
    tag text NOT NULL,
    PRIMARY KEY (contact_id, tag)
);
CREATE INDEX contact_tags_page ON contact_tags (org_id, tag, contact_id DESC);
CALL hum.tenant_table('contact_tags');
-- Return the newest contacts below `before` that hold words with the query's prefixes, or these digits in their
-- number. Planned for each call: a frequent word is found by walking from the newest contact, a rare one by the
-- index.
CREATE POLICY door ON contact_tags FOR SELECT TO hum_owner USING (org_id = (SELECT hum.org_id()));

-- Progress of a contact backfill over the calls.
CREATE TABLE contact_backfills (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    lookup boolean NOT NULL,
    calls_total bigint NOT NULL,
    calls_seen bigint NOT NULL DEFAULT 0,
    contacts_created bigint NOT NULL DEFAULT 0,
    calls_linked bigint NOT NULL DEFAULT 0,
    lookups bigint NOT NULL DEFAULT 0,
    -- Calls below this are not processed yet; then contacts above this.
    before_at timestamptz NOT NULL DEFAULT now(),
    before_id uuid NOT NULL DEFAULT 'ffffffff-ffff-ffff-ffff-ffffffffffff',
    after_contact uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE UNIQUE INDEX contact_backfills_running ON contact_backfills (org_id) WHERE ended_at IS NULL;
CREATE INDEX contact_backfills_latest ON contact_backfills (org_id, id DESC);
CALL hum.tenant_table('contact_backfills');

CREATE TABLE blocklist (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    phone_e164 text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    reason text,
    PRIMARY KEY (org_id, phone_e164)
);
CREATE INDEX blocklist_page ON blocklist (org_id, created_at DESC, phone_e164 DESC);
CALL hum.tenant_table('blocklist');

-- Search index of contacts. As for call_search: no grant to the application, one SECURITY DEFINER function;
-- maintained by a trigger.
CREATE TABLE contact_search (
    org_id uuid NOT NULL,
    contact_id uuid PRIMARY KEY REFERENCES contacts ON DELETE CASCADE,
    words tsvector NOT NULL
);
-- Pending entries are merged in bulk; a search reads at most these few pages of them.
CREATE INDEX contact_search_words ON contact_search USING gin (words)
    WITH (fastupdate = on, gin_pending_list_limit = 64);
CREATE INDEX contact_search_page ON contact_search (org_id, contact_id DESC);
ALTER TABLE contact_search ALTER COLUMN words SET STATISTICS 1000;
ALTER TABLE contact_search ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON contact_search TO hum_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON contact_search TO hum_system;

-- Imports: a worker reads the file into rows, then applies the rows to the contacts. Each batch commits with its
-- progress, so that another worker resumes where one stopped.

CREATE TABLE contact_imports (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    made_by text NOT NULL,
    dry_run boolean NOT NULL,
    -- Default country of numbers without a country code.
    region text,
    -- The uploaded file in UTF-8; null once it has been read completely.
    file bytea,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'completed', 'failed')),
    -- Rows read, empty ones included.
    passed integer NOT NULL DEFAULT 0,
    rows_read integer NOT NULL DEFAULT 0,
    bad_rows integer NOT NULL DEFAULT 0,
    duplicates integer NOT NULL DEFAULT 0,
    created integer NOT NULL DEFAULT 0,
    updated integer NOT NULL DEFAULT 0,
    unchanged integer NOT NULL DEFAULT 0,
    ignored_columns text[] NOT NULL DEFAULT '{}',
    errors json NOT NULL DEFAULT '[]',
    failure text,
    created_at timestamptz NOT NULL DEFAULT now(),
    moved_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE INDEX contact_imports_open ON contact_imports (org_id) WHERE ended_at IS NULL;
CREATE INDEX contact_imports_ended ON contact_imports (ended_at) WHERE ended_at IS NOT NULL;
CALL hum.tenant_table('contact_imports');

-- Rows that are read and not applied yet: one per phone number.
CREATE TABLE contact_import_rows (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    import_id uuid NOT NULL REFERENCES contact_imports ON DELETE CASCADE,
    phone_e164 text NOT NULL,
    fields jsonb NOT NULL,
    notes text,
    tags text[] NOT NULL,
    PRIMARY KEY (import_id, phone_e164)
);
CREATE INDEX contact_import_rows_org ON contact_import_rows (org_id);
CALL hum.tenant_table('contact_import_rows');

CREATE FUNCTION hum.keep_contact_tags() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM contact_tags WHERE contact_id = NEW.id AND tag <> ALL (NEW.tags);
    INSERT INTO contact_tags (org_id, contact_id, tag) SELECT NEW.org_id, NEW.id, unnest(NEW.tags) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

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

CREATE FUNCTION hum.search_contacts(query text, digits text, tag text, before uuid, most integer)
RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 50 SET search_path = pg_catalog, public AS $$
DECLARE
    -- Needs no quoting: words_of returns letters and digits only.
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

CREATE TRIGGER contacts_tags_made AFTER INSERT ON contacts
    FOR EACH ROW WHEN (NEW.tags <> '{}') EXECUTE FUNCTION hum.keep_contact_tags();
CREATE TRIGGER contacts_tags_changed AFTER UPDATE OF tags ON contacts
    FOR EACH ROW WHEN (OLD.tags <> NEW.tags) EXECUTE FUNCTION hum.keep_contact_tags();
CREATE TRIGGER contacts_search AFTER INSERT OR UPDATE OF name, email, company, caller_name ON contacts
    FOR EACH ROW EXECUTE FUNCTION hum.index_contact();

REVOKE EXECUTE ON FUNCTION hum.index_contact() FROM public;
REVOKE EXECUTE ON FUNCTION hum.search_contacts(text,text,text,uuid,integer) FROM public;
GRANT EXECUTE ON FUNCTION hum.search_contacts(text,text,text,uuid,integer) TO hum_app;
