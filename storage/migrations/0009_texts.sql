-- Text messages: conversations, messages, sending attempts, opt-outs, the text agent's turns, search of the inbox.

-- Search by generations keeps the inbox's search independent of its size. A word index has no order, so a frequent
-- word would be read whole for one page. Words are therefore indexed a second time, together with the generation in
-- which their conversation was last active: some thousand messages of one organization. A page of the latest
-- conversations is found in the last few generations. Generation 0 precedes the first one and has no such entries.
-- Numbers are unique across organizations, so that no query reads another's words.
CREATE SEQUENCE text_generation_numbers AS integer;

GRANT USAGE ON SEQUENCE text_generation_numbers TO hum_app, hum_system;

-- Return a counter shard that no concurrent transaction uses, so that no transaction waits for another's count.
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

CREATE TABLE conversations (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    -- The two numbers of the thread; they remain the same if the number is released and bought again.
    number_e164 text NOT NULL,
    contact_e164 text NOT NULL,
    number_id uuid REFERENCES numbers ON DELETE SET NULL,
    contact_id uuid REFERENCES contacts ON DELETE SET NULL,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed')),
    assignee_id uuid,
    ai_paused_reason text,
    snoozed_until timestamptz,
    -- Answers instead of the number's SMS flow.
    flow_id uuid REFERENCES flows ON DELETE SET NULL,
    unread_count integer NOT NULL DEFAULT 0,
    last_message_at timestamptz,
    last_message_preview text,
    last_message_direction text CHECK (last_message_direction IN ('inbound', 'outbound')),
    -- Position in the inbox: the time of the latest message, or of creation.
    active_at timestamptz NOT NULL DEFAULT now(),
    -- The agent's next turn: when it is due, since when it is owed, and the generation of the latest request.
    turn_due_at timestamptz,
    turn_owed_at timestamptz,
    turn_generation integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    generation integer NOT NULL DEFAULT 0,
    UNIQUE (org_id, number_e164, contact_e164),
    CONSTRAINT conversations_assignee_member
    FOREIGN KEY (org_id, assignee_id) REFERENCES memberships (org_id, user_id) ON DELETE SET NULL (assignee_id)
);
CREATE INDEX conversations_inbox ON conversations (org_id, active_at DESC, id DESC);
CREATE INDEX conversations_status ON conversations (org_id, status, active_at DESC, id DESC);
CREATE INDEX conversations_unread ON conversations (org_id, active_at DESC, id DESC) WHERE unread_count > 0;
CREATE INDEX conversations_number ON conversations (org_id, number_id, active_at DESC, id DESC);
CREATE INDEX conversations_contact ON conversations (org_id, contact_e164);
CREATE INDEX conversations_contact_id ON conversations (contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX conversations_snoozed ON conversations (snoozed_until) WHERE snoozed_until IS NOT NULL;
CREATE INDEX conversations_turn ON conversations (turn_due_at) WHERE turn_due_at IS NOT NULL;
CREATE INDEX conversations_flow ON conversations (flow_id) WHERE flow_id IS NOT NULL;
CREATE INDEX conversations_assignee ON conversations (org_id, assignee_id, active_at DESC, id DESC) WHERE assignee_id IS NOT NULL;
CREATE INDEX conversations_nobody ON conversations (org_id, active_at DESC, id DESC) WHERE assignee_id IS NULL;
CREATE INDEX conversations_read ON conversations (org_id, active_at DESC, id DESC) WHERE unread_count = 0;
CREATE INDEX conversations_put_off ON conversations (org_id, active_at DESC, id DESC) WHERE snoozed_until IS NOT NULL;
-- For the count of unread conversations, which is bounded.
CREATE INDEX conversations_waiting ON conversations (org_id, assignee_id) WHERE unread_count > 0 AND status = 'open';
CALL hum.tenant_table('conversations');
CREATE POLICY door ON conversations FOR SELECT TO hum_owner USING (org_id = (SELECT hum.org_id()));

CREATE TABLE messages (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL,
    conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    direction text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    -- The organization's number and the contact's, in either direction.
    number_e164 text NOT NULL,
    contact_e164 text NOT NULL,
    body text NOT NULL,
    status text NOT NULL CHECK (status IN ('scheduled', 'queued', 'sent', 'delivered', 'undelivered', 'failed', 'unknown',
                                           'opted_out', 'canceled', 'expired', 'received')),
    error_code text,
    segments integer NOT NULL,
    -- The carrier's id; for an outbound message, that of the attempt that the carrier accepted.
    carrier_sid text,
    -- Outbound only from here.
    sent_by text CHECK (sent_by IN ('human', 'api', 'ai', 'campaign', 'system')),
    source text CHECK (source IN ('manual', 'ai_followup', 'quiet_hours')),
    author_id uuid REFERENCES users ON DELETE SET NULL,
    scheduled_at timestamptz,
    expires_at timestamptz,
    -- Whether sending hours apply, and which ones the message waits for.
    honors_hours boolean NOT NULL DEFAULT false,
    held_by text CHECK (held_by IN ('organization_hours', 'recipient_hours')),
    -- Conversations (0) are sent before campaigns (1).
    lane smallint NOT NULL DEFAULT 0,
    -- When the message may be sent; null during an attempt and after the end.
    due_at timestamptz,
    run_id uuid,
    campaign_id uuid,
    recipient_id uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at timestamptz,
    delivered_at timestamptz,
    CHECK ((direction = 'inbound') = (status = 'received')),
    CHECK ((direction = 'outbound') = (sent_by IS NOT NULL)),
    CHECK (due_at IS NULL OR status IN ('scheduled', 'queued', 'sent'))
);
CREATE INDEX messages_thread ON messages (conversation_id, id DESC);
-- An inbound text is stored once, however often the carrier reports it.
CREATE UNIQUE INDEX messages_received ON messages (carrier_sid) WHERE direction = 'inbound';
CREATE INDEX messages_due_thread ON messages (conversation_id, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX messages_scheduled ON messages (org_id, due_at, id) WHERE status = 'scheduled';
CREATE INDEX messages_unknown ON messages (org_id, id) WHERE status = 'unknown';
-- Recent keyword replies of a thread, counted before each.
CREATE INDEX messages_system ON messages (conversation_id, id DESC) WHERE sent_by = 'system';
-- Unsent messages of a contact, which an opt-out cancels.
CREATE INDEX messages_due_contact ON messages (org_id, contact_e164) WHERE due_at IS NOT NULL;
CREATE INDEX messages_due ON messages (number_e164, due_at, created_at, id) WHERE due_at IS NOT NULL AND lane = 0;
CREATE INDEX messages_due_campaign
    ON messages (number_e164, (coalesce(campaign_id, '00000000-0000-0000-0000-000000000000')), due_at, created_at, id)
    WHERE due_at IS NOT NULL AND lane = 1;
CREATE INDEX messages_due_number ON messages (number_e164) WHERE due_at IS NOT NULL;
CREATE INDEX messages_age ON messages (org_id, created_at, id);
-- A recipient has at most one message that is not canceled.
CREATE UNIQUE INDEX messages_recipient ON messages (recipient_id) WHERE recipient_id IS NOT NULL AND status <> 'canceled';
-- A campaign's unsent messages.
CREATE INDEX messages_campaign ON messages (campaign_id) WHERE campaign_id IS NOT NULL AND due_at IS NOT NULL;
-- An organization's unsent messages, which count against its plan.
CREATE INDEX messages_due_organization ON messages (org_id, due_at) WHERE due_at IS NOT NULL;
CALL hum.tenant_table('messages');

-- Media: an inbound file is fetched from the carrier and stored; an outbound one is a URL that the carrier fetches.
CREATE TABLE message_media (
    message_id uuid NOT NULL REFERENCES messages ON DELETE CASCADE,
    index integer NOT NULL,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    url text NOT NULL,
    content_type text NOT NULL DEFAULT '',
    status text NOT NULL CHECK (status IN ('given', 'fetching', 'stored', 'refused', 'lost')),
    path text,
    size_bytes bigint,
    PRIMARY KEY (message_id, index)
);
CREATE INDEX message_media_fetching ON message_media (message_id) WHERE status = 'fetching';
CALL hum.tenant_table('message_media');

-- One sending attempt, committed before the carrier is asked; its id is in the URL of the status callbacks.
CREATE TABLE message_attempts (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL,
    message_id uuid NOT NULL REFERENCES messages ON DELETE CASCADE,
    number integer NOT NULL,
    -- The carrier account that holds the number; empty: the deployment's.
    account text NOT NULL,
    from_e164 text NOT NULL,
    to_e164 text NOT NULL,
    -- posting: the carrier has been, or may have been, asked. accepted: it has the message. rejected: it refused
    -- permanently. withdrawn: it refused for the moment, or was not reached. absent: it twice reported no such
    -- message. unknown: the outcome cannot be determined.
    state text NOT NULL CHECK (state IN ('posting', 'accepted', 'rejected', 'withdrawn', 'absent', 'unknown', 'failed')),
    carrier_sid text UNIQUE,
    carrier_status text,
    error_code text,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When the carrier's message list was last searched for it.
    looked_at timestamptz,
    ended_at timestamptz,
    -- When the message was due, for another attempt if the carrier did not accept it; and when to retry after a
    -- failed delivery.
    due_at timestamptz,
    retry_at timestamptz,
    -- When the carrier's list was first searched for the attempt; it counts as unknown so long after that, not
    -- counting the time in which no worker ran.
    sought_at timestamptz,
    UNIQUE (message_id, number),
    CHECK (retry_at IS NULL OR state = 'failed')
);
-- A message has at most one attempt that may have been delivered.
CREATE UNIQUE INDEX message_attempts_live ON message_attempts (message_id) WHERE state IN ('posting', 'accepted', 'unknown');
CREATE INDEX message_attempts_posting ON message_attempts (started_at) WHERE state = 'posting';
CREATE INDEX message_attempts_pair ON message_attempts (from_e164, to_e164, started_at);
-- The texts of a thread are sent in order.
CREATE INDEX message_attempts_posting_pair ON message_attempts (from_e164, to_e164) WHERE state = 'posting';
CREATE INDEX message_attempts_retry ON message_attempts (retry_at) WHERE retry_at IS NOT NULL;
-- Attempts without a final status.
CREATE INDEX message_attempts_open ON message_attempts ((coalesce(looked_at, started_at)))
    WHERE state = 'accepted' AND carrier_status IN ('accepted', 'scheduled', 'queued', 'sending', 'sent');
CALL hum.tenant_table('message_attempts');

-- Every status of an attempt, in order of arrival. Append-only.
CREATE TABLE message_statuses (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id uuid NOT NULL,
    attempt_id uuid NOT NULL REFERENCES message_attempts ON DELETE CASCADE,
    carrier_status text NOT NULL,
    error_code text,
    -- The source: `answer` (the request's), `callback`, or `list` (the carrier's message list).
    told_by text NOT NULL CHECK (told_by IN ('answer', 'callback', 'list')),
    received_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX message_statuses_attempt ON message_statuses (attempt_id, id);
CALL hum.tenant_table('message_statuses');

-- Rate limit per number, across all processes.
CREATE TABLE text_paces (
    number_e164 text PRIMARY KEY,
    next_at timestamptz NOT NULL,
    -- Recent rate-limit refusals by the carrier and the time of the last, and the fault for which it refuses the
    -- number altogether.
    setbacks integer NOT NULL DEFAULT 0,
    slowed_at timestamptz NOT NULL DEFAULT '-infinity',
    stopped_code text,
    stopped_at timestamptz
);
GRANT SELECT, INSERT, UPDATE, DELETE ON text_paces TO hum_system;

-- Rate limit per throttled campaign, across all processes.
CREATE TABLE campaign_paces (
    campaign_id uuid PRIMARY KEY,
    per_minute integer NOT NULL CHECK (per_minute > 0),
    next_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON campaign_paces TO hum_system;

-- Opt-outs. A row stays after an opt-in, as evidence.
CREATE TABLE opt_outs (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    contact_e164 text NOT NULL,
    opted_out boolean NOT NULL,
    -- The actor, and the message if there was one.
    source text NOT NULL CHECK (source IN ('keyword', 'carrier', 'api', 'human', 'agent')),
    keyword text,
    message_id uuid REFERENCES messages ON DELETE SET NULL,
    -- The carrier blocks texts to the contact until they send START.
    carrier_blocked boolean NOT NULL DEFAULT false,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, contact_e164)
);
CREATE INDEX opt_outs_page ON opt_outs (org_id, changed_at DESC, contact_e164) WHERE opted_out;
-- For purging the evidence with its message.
CREATE INDEX opt_outs_message ON opt_outs (message_id) WHERE message_id IS NOT NULL;
CALL hum.tenant_table('opt_outs');

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

-- The text agent's turns in conversations.

CREATE TABLE text_runs (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    status text NOT NULL CHECK (status IN ('waiting', 'running', 'replied', 'silent', 'handed_over')),
    -- Why the agent did not reply, or handed over to a person.
    reason text,
    flow_id uuid,
    flow_version integer,
    model text,
    -- Whether the model was, or may have been, called.
    asked boolean NOT NULL DEFAULT false,
    attempts integer NOT NULL DEFAULT 0,
    input_tokens integer,
    output_tokens integer,
    tool_calls json NOT NULL DEFAULT '[]',
    outcome json,
    message_id uuid REFERENCES messages ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Heartbeat: a turn without one for a while is claimed by another worker.
    touched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    CHECK ((finished_at IS NULL) = (status IN ('waiting', 'running')))
);
-- A conversation has one turn at a time.
CREATE UNIQUE INDEX text_runs_live ON text_runs (conversation_id) WHERE finished_at IS NULL;
CREATE INDEX text_runs_thread ON text_runs (conversation_id, id DESC);
CREATE INDEX text_runs_asked ON text_runs (org_id, created_at) WHERE asked;
CREATE INDEX text_runs_left ON text_runs (touched_at) WHERE finished_at IS NULL;
CREATE INDEX text_runs_message ON text_runs (message_id) WHERE message_id IS NOT NULL;
CALL hum.tenant_table('text_runs');

-- Search index of the inbox. As for contact_search: no grant to the application, one SECURITY DEFINER function;
-- maintained by triggers. One row per conversation (the contact's number, name and company) and one per message, so
-- that a message adds a row and changes none.
CREATE TABLE text_search (
    org_id uuid NOT NULL,
    conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    -- Null: the conversation's own row.
    message_id uuid REFERENCES messages ON DELETE CASCADE,
    words tsvector NOT NULL,
    generation integer NOT NULL DEFAULT 0,  -- of the conversation, in its own row
    -- Words with a generation. A conversation's own row has all of its words, as of the generation it entered last; a
    -- message's row has its words with the generation of its time. Stale entries match nothing, since the
    -- conversation is no longer of that generation.
    recent tsvector
);
-- Pending entries are merged in bulk; a search reads at most these few pages of them.
CREATE INDEX text_search_words ON text_search USING gin (words)
    WITH (fastupdate = on, gin_pending_list_limit = 64);
CREATE INDEX text_search_conversation ON text_search (conversation_id);
CREATE UNIQUE INDEX text_search_own ON text_search (conversation_id) WHERE message_id IS NULL;
CREATE UNIQUE INDEX text_search_message ON text_search (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX text_search_recent ON text_search USING gin (recent) WITH (fastupdate = on, gin_pending_list_limit = 64)
    WHERE recent IS NOT NULL;
ALTER TABLE text_search ENABLE ROW LEVEL SECURITY;
ALTER TABLE text_search ALTER COLUMN recent SET STATISTICS 0;
-- The planner reads a column's statistics on each planning, ten entries per unit of this target; in a large inbox
-- that took longer than the search. The last generations tell that a word without statistics is rare.
ALTER TABLE text_search ALTER COLUMN words SET STATISTICS 100;
CREATE POLICY system ON text_search TO hum_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON text_search TO hum_system;

CREATE TABLE text_generations (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    number integer NOT NULL DEFAULT nextval('text_generation_numbers'),
    opened_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, number)
);
CALL hum.tenant_table('text_generations');
CREATE POLICY door ON text_generations FOR SELECT TO hum_owner USING (org_id = (SELECT hum.org_id()));
REVOKE UPDATE, DELETE ON text_generations FROM hum_app;

-- Files of deleted messages, to be deleted from the store.
CREATE TABLE erased_media (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id uuid NOT NULL,
    path text NOT NULL,
    tried_at timestamptz,
    erased_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erased_media_files ON erased_media (tried_at NULLS FIRST);
CALL hum.tenant_table('erased_media');
-- deleted by a foreign key's cascade, as the owner
CREATE POLICY door ON erased_media FOR INSERT TO hum_owner WITH CHECK (true);
REVOKE UPDATE, DELETE ON erased_media FROM hum_app;

CREATE FUNCTION hum.owe_media() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO erased_media (org_id, path) VALUES (OLD.org_id, OLD.path);
    RETURN NULL;
END
$$;

-- Index a contact's few conversations again with its new name.
CREATE FUNCTION hum.index_conversations_of_contact() RETURNS trigger
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

-- Open a new generation with a probability of about one in eight thousand messages: without a counter no transaction
-- waits. Runs at the end of the transaction, so that the generation is visible as soon as it is open.
CREATE FUNCTION hum.open_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO text_generations (org_id, opened_at) VALUES (NEW.org_id, clock_timestamp());
    RETURN NULL;
END
$$;

CREATE FUNCTION hum.take_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.generation := coalesce((SELECT number FROM text_generations
                                 WHERE org_id = NEW.org_id AND opened_at <= NEW.active_at ORDER BY number DESC LIMIT 1), 0);
    RETURN NEW;
END
$$;

-- Return words with a generation as search entries. A row with too many words gets a mark that matches every search;
-- its words are then checked one by one.
CREATE FUNCTION hum.recent_words(generation integer, words text[]) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN generation > 0 THEN array_to_tsvector(
        CASE WHEN cardinality(words) > 3000 OR length(array_to_string(words, '')) > 100000 THEN ARRAY[generation || '!']
             ELSE ARRAY(SELECT generation || ':' || word FROM unnest(words) AS word) END) END
$$;

-- Index conversations again. The system creates conversations too, without an organization of its own: the
-- conversation's is set meanwhile. Those that are deleted together with their contact are only removed. Planned once:
-- most arrays have one element, and planning would take longer than the query. Rows are locked before they are read,
-- so that the later of two concurrent changes sees the earlier one's.
CREATE FUNCTION hum.index_conversations(threads uuid[], orgs uuid[]) RETURNS void
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
        -- One by one, by key: for new tables the planner has no statistics and would read all of the organization's
        -- rows.
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

-- Publish changed conversations to followers, and index those that changed their contact or generation.
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

-- Publish new messages to followers, and index them. A conversation that lost its own row together with its contact
-- gets it again. Rows are read one by one, in plans that stay good while the table grows.
CREATE FUNCTION hum.take_messages() RETURNS trigger
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

-- Remove deleted messages from the index.
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

-- Return a page of the conversations that `filtered` selects and that match `wanted` (`words` or `digits`), from the
-- last generations. Return null if the page is not in them, or if they match so many conversations that walking from
-- the latest one is faster.
CREATE FUNCTION hum.search_generations(
    words text[], digits text, wanted tsquery, guessed_everywhere float8, filtered text, before_at timestamptz, before_id uuid,
    most integer, wanted_status text, assignee uuid, number_id uuid)
RETURNS uuid[] LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public AS $$
DECLARE
    most_rows CONSTANT integer := 2000;
    most_generations CONSTANT integer := 127;
    -- Words with at most so many rows are read whole: seemingly rare ones, and those without a page in the last
    -- generations.
    rare CONSTANT integer := 400;
    few CONSTANT integer := 5000;
    -- Unless they seem to have so many in all organizations, which share the index.
    rare_everywhere CONSTANT integer := 50000;
    -- A new generation may be invisible to other transactions, and clocks differ, by so much.
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
    -- Matches of these generations that are not looked up yet.
    holders uuid[] := '{}';
    held_in integer[] := '{}';
    found record;
    ids uuid[] := '{}';
    ats timestamptz[] := '{}';
    sure_from timestamptz;
BEGIN
    -- Two, since the last one may have just begun, then four more, then eight: about twice as many as needed.
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
            -- Conversations of earlier generations were active before this.
            sure_from := slack + (SELECT g.opened_at FROM text_generations g
                                   WHERE g.org_id = hum.org_id() AND g.number = numbers[looked]);
            IF (SELECT count(*) FROM unnest(ats) AS at WHERE at >= sure_from) >= most THEN
                RETURN ARRAY(SELECT id FROM unnest(ids, ats) AS each (id, at) ORDER BY at DESC, id DESC LIMIT most);
            END IF;
        END IF;

        -- Rare if it is distributed as here, or not in any of these generations.
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

-- Return the latest conversations below (before_at, before_id) that pass the filters and in which the contact's
-- number, name or company, or a message, holds words with the query's prefixes, or these digits. A short query is
-- first looked for in the latest conversations, since most may match; a rare word is found by the index, a frequent
-- one in the last generations or by walking from the latest conversation. The two tables are queried separately:
-- below policies PostgreSQL would not use the index. A row that is found by its conversation is checked by a function
-- instead of its operator, whose selectivity the planner would estimate each time.
CREATE FUNCTION hum.search_conversations(
    query text, digits text, before_at timestamptz, before_id uuid, most integer, wanted_status text, assignee uuid,
    nobody boolean, unread boolean, snoozed boolean, number uuid)
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
        || CASE WHEN number IS NULL THEN '' ELSE ' AND c.number_id = $7' END;
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

CREATE TRIGGER contacts_conversations AFTER UPDATE OF name, company ON contacts
    FOR EACH ROW WHEN ((OLD.name, OLD.company) IS DISTINCT FROM (NEW.name, NEW.company))
    EXECUTE FUNCTION hum.index_conversations_of_contact();
CREATE TRIGGER message_media_owed AFTER DELETE ON message_media
    FOR EACH ROW WHEN (OLD.path IS NOT NULL) EXECUTE FUNCTION hum.owe_media();
CREATE TRIGGER messages_made AFTER INSERT ON messages
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION hum.take_messages();
CREATE TRIGGER conversations_made AFTER INSERT ON conversations
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION hum.take_conversations();
CREATE TRIGGER conversations_changed AFTER UPDATE ON conversations
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION hum.take_conversations();
CREATE CONSTRAINT TRIGGER messages_open_generation AFTER INSERT ON messages DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (uuid_hash(NEW.id) & 8191 = 0) EXECUTE FUNCTION hum.open_generation();
CREATE TRIGGER conversations_begin BEFORE INSERT ON conversations FOR EACH ROW EXECUTE FUNCTION hum.take_generation();
CREATE TRIGGER conversations_move BEFORE UPDATE OF active_at ON conversations
    FOR EACH ROW WHEN (NEW.active_at > OLD.active_at) EXECUTE FUNCTION hum.take_generation();
CREATE TRIGGER messages_gone AFTER DELETE ON messages
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION hum.forget_messages();

REVOKE EXECUTE ON FUNCTION
    hum.forget_messages(), hum.index_conversations(uuid[],uuid[]), hum.index_conversations_of_contact(),
    hum.search_generations(text[],text,tsquery,double precision,text,timestamp with time zone,uuid,integer,text,uuid,uuid),
    hum.take_conversations(), hum.take_messages() FROM public;
REVOKE EXECUTE ON FUNCTION
    hum.search_conversations(text,text,timestamp with time zone,uuid,integer,text,uuid,boolean,boolean,boolean,uuid)
    FROM public;
GRANT EXECUTE ON FUNCTION
    hum.search_conversations(text,text,timestamp with time zone,uuid,integer,text,uuid,boolean,boolean,boolean,uuid)
    TO hum_app;
