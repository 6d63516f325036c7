-- Texts: conversations, messages, the attempts at sending them, and who wants none.

CREATE TABLE conversations (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    -- The pair that makes it one thread, also when the number was given up and bought again.
    number_e164 text NOT NULL,
    contact_e164 text NOT NULL,
    number_id uuid REFERENCES numbers ON DELETE SET NULL,
    contact_id uuid REFERENCES contacts ON DELETE SET NULL,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed')),
    assignee_id uuid REFERENCES users ON DELETE SET NULL,
    ai_paused_reason text,
    snoozed_until timestamptz,
    -- Answers here instead of the number's sms flow.
    flow_id uuid REFERENCES flows ON DELETE SET NULL,
    unread_count integer NOT NULL DEFAULT 0,
    last_message_at timestamptz,
    last_message_preview text,
    last_message_direction text CHECK (last_message_direction IN ('inbound', 'outbound')),
    -- The place in the inbox: the latest message's time, or when it was made.
    active_at timestamptz NOT NULL DEFAULT now(),
    -- The AI's next turn: when it is due, since when it is owed, and which wish is the latest.
    turn_due_at timestamptz,
    turn_owed_at timestamptz,
    turn_generation integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, number_e164, contact_e164)
);
CREATE INDEX conversations_inbox ON conversations (org_id, active_at DESC, id DESC);
CREATE INDEX conversations_status ON conversations (org_id, status, active_at DESC, id DESC);
CREATE INDEX conversations_assignee ON conversations (org_id, assignee_id, active_at DESC, id DESC);
CREATE INDEX conversations_unread ON conversations (org_id, active_at DESC, id DESC) WHERE unread_count > 0;
CREATE INDEX conversations_number ON conversations (org_id, number_id, active_at DESC, id DESC);
CREATE INDEX conversations_contact ON conversations (org_id, contact_e164);
CREATE INDEX conversations_contact_id ON conversations (contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX conversations_snoozed ON conversations (snoozed_until) WHERE snoozed_until IS NOT NULL;
CREATE INDEX conversations_turn ON conversations (turn_due_at) WHERE turn_due_at IS NOT NULL;
CREATE INDEX conversations_flow ON conversations (flow_id) WHERE flow_id IS NOT NULL;
CALL hum.tenant_table('conversations');

CREATE TABLE messages (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    direction text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    -- Ours and the contact's, whichever way it goes.
    number_e164 text NOT NULL,
    contact_e164 text NOT NULL,
    body text NOT NULL,
    status text NOT NULL CHECK (status IN ('scheduled', 'queued', 'sent', 'delivered', 'undelivered', 'failed', 'unknown',
                                           'opted_out', 'canceled', 'expired', 'received')),
    error_code text,
    segments integer NOT NULL,
    -- The carrier's id; of an outbound message, that of the attempt which it took.
    carrier_sid text,
    -- Outbound only, from here.
    sent_by text CHECK (sent_by IN ('human', 'api', 'ai', 'campaign', 'system')),
    source text CHECK (source IN ('manual', 'ai_followup', 'quiet_hours')),
    author_id uuid REFERENCES users ON DELETE SET NULL,
    scheduled_at timestamptz,
    expires_at timestamptz,
    -- Whether it waits for the hours in which texts may be sent, and which of them it waits for.
    honors_hours boolean NOT NULL DEFAULT false,
    held_by text CHECK (held_by IN ('organization_hours', 'recipient_hours')),
    -- Conversations (0) go before campaigns (1).
    lane smallint NOT NULL DEFAULT 0,
    -- When the carrier may be asked; null while it is being asked, and ever after.
    due_at timestamptz,
    run_id uuid,
    campaign_id uuid,
    recipient_id uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at timestamptz,
    delivered_at timestamptz,
    CHECK ((direction = 'inbound') = (status = 'received')),
    CHECK ((direction = 'outbound') = (sent_by IS NOT NULL)),
    CHECK (due_at IS NULL OR status IN ('scheduled', 'queued'))
);
CREATE INDEX messages_thread ON messages (conversation_id, id DESC);
-- A text of the carrier's is one row, however often it is told.
CREATE UNIQUE INDEX messages_received ON messages (carrier_sid) WHERE direction = 'inbound';
-- What a number sends next.
CREATE INDEX messages_due ON messages (number_e164, lane, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX messages_due_thread ON messages (conversation_id, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX messages_scheduled ON messages (org_id, due_at, id) WHERE status = 'scheduled';
CREATE INDEX messages_unknown ON messages (org_id, id) WHERE status = 'unknown';
CALL hum.tenant_table('messages');

-- Pictures and other files.  An inbound one is fetched from the carrier and kept; an outbound one is a URL that the carrier
-- fetches.
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

-- One request to the carrier.  The row is committed before it is asked; its id is in the URL of its status callbacks.
CREATE TABLE message_attempts (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    message_id uuid NOT NULL REFERENCES messages ON DELETE CASCADE,
    number integer NOT NULL,
    -- The carrier's account that holds the number; empty: ours.
    account text NOT NULL,
    from_e164 text NOT NULL,
    to_e164 text NOT NULL,
    -- posting: the carrier has been, or may be, asked.  accepted: it has the message.  rejected: it refused for good.
    -- withdrawn: it refused for the moment, or was never reached.  absent: as it said twice, it has no such message.
    -- unknown: nobody can tell.
    state text NOT NULL CHECK (state IN ('posting', 'accepted', 'rejected', 'withdrawn', 'absent', 'unknown')),
    carrier_sid text UNIQUE,
    carrier_status text,
    error_code text,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When its list of messages was last looked through for it.
    looked_at timestamptz,
    ended_at timestamptz,
    UNIQUE (message_id, number)
);
-- A message has at most one attempt that may have reached anybody.
CREATE UNIQUE INDEX message_attempts_live ON message_attempts (message_id) WHERE state IN ('posting', 'accepted', 'unknown');
CREATE INDEX message_attempts_posting ON message_attempts (started_at) WHERE state = 'posting';
CREATE INDEX message_attempts_pair ON message_attempts (from_e164, to_e164, started_at);
CALL hum.tenant_table('message_attempts');

-- What the carrier has said of an attempt, each word of it, in the order in which it came.  Append-only.
CREATE TABLE message_statuses (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    attempt_id uuid NOT NULL REFERENCES message_attempts ON DELETE CASCADE,
    carrier_status text NOT NULL,
    error_code text,
    -- How we know: `answer` (to the request), `callback`, `list` (the carrier's, looked through).
    told_by text NOT NULL CHECK (told_by IN ('answer', 'callback', 'list')),
    received_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX message_statuses_attempt ON message_statuses (attempt_id, id);
CALL hum.tenant_table('message_statuses');

-- When each number may send its next segment.  Of all processes.
CREATE TABLE text_paces (
    number_e164 text PRIMARY KEY,
    next_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON text_paces TO hum_system;

-- Contacts that want no texts.  A row stays when they want them again: it is the evidence.
CREATE TABLE opt_outs (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    contact_e164 text NOT NULL,
    opted_out boolean NOT NULL,
    -- Who said so, and with which message.
    source text NOT NULL CHECK (source IN ('keyword', 'carrier', 'api', 'human', 'agent')),
    keyword text,
    message_id uuid REFERENCES messages ON DELETE SET NULL,
    -- The carrier refuses texts to them, until their handset sends START.
    carrier_blocked boolean NOT NULL DEFAULT false,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, contact_e164)
);
CREATE INDEX opt_outs_page ON opt_outs (org_id, changed_at DESC, contact_e164) WHERE opted_out;
CALL hum.tenant_table('opt_outs');
