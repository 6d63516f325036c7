-- Campaigns: one text to many contacts, each of them once.

CREATE TABLE campaigns (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name text NOT NULL,
    -- The number that texts; null once the organization has given it up.
    number_id uuid REFERENCES numbers ON DELETE SET NULL,
    -- Answers the replies.
    flow_id uuid REFERENCES flows ON DELETE SET NULL,
    body_template text NOT NULL,
    media_urls text[] NOT NULL DEFAULT '{}',
    throttle_per_minute integer,
    scheduled_start_at timestamptz,
    expires_at timestamptz,
    honor_quiet_hours boolean NOT NULL DEFAULT true,
    status text NOT NULL DEFAULT 'draft'
        CHECK (status IN ('draft', 'queued', 'running', 'paused', 'completed', 'canceled', 'failed')),
    -- Why it is paused or failed: `person`, or what went wrong.
    reason text,
    -- Recipients that were given again, in any spelling.
    duplicates integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    launched_at timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    -- When the dispatcher has something to do for it: texts to write, or to take back; null: never.
    look_at timestamptz
);
CREATE INDEX campaigns_page ON campaigns (org_id, id DESC);
CREATE INDEX campaigns_status ON campaigns (org_id, status, id DESC);
CREATE INDEX campaigns_look ON campaigns (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX campaigns_number ON campaigns (number_id);
CREATE INDEX campaigns_flow ON campaigns (flow_id) WHERE flow_id IS NOT NULL;
CALL hum.tenant_table('campaigns');

CREATE TABLE campaign_recipients (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    campaign_id uuid NOT NULL REFERENCES campaigns ON DELETE CASCADE,
    -- In the order in which they were given.
    position bigint GENERATED ALWAYS AS IDENTITY,
    -- E.164; what was given, if that is no number.
    contact_e164 text NOT NULL,
    -- Instead of the campaign's text.
    body text,
    -- Values of the text's variables, a JSON object; null: none.
    variables text,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sending', 'sent', 'delivered', 'failed', 'unknown',
                                                             'opted_out', 'skipped', 'canceled')),
    -- Why it is so, or what it waits for.
    reason text,
    -- Not texted before.
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The text, since it was written.
    message_id uuid,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (campaign_id, contact_e164)
);
-- With the organization, since a tenant's lists ask for it too: of a campaign that is new, the planner knows nothing else.
CREATE INDEX campaign_recipients_page ON campaign_recipients (campaign_id, org_id, position);
CREATE INDEX campaign_recipients_status ON campaign_recipients (campaign_id, org_id, status, position);
CREATE INDEX campaign_recipients_sending ON campaign_recipients (campaign_id) WHERE status = 'sending';
CREATE INDEX campaign_recipients_due ON campaign_recipients (campaign_id, due_at, position) WHERE status = 'pending';
CREATE INDEX campaign_recipients_contact ON campaign_recipients (org_id, contact_e164);
-- What became of the latest, for the decision whether to go on.
CREATE INDEX campaign_recipients_latest ON campaign_recipients (campaign_id, changed_at DESC)
    WHERE status IN ('sent', 'delivered', 'failed');
CALL hum.tenant_table('campaign_recipients');

-- How many recipients have which status.  Whoever changes recipients adds to one of a few rows, chosen by its connection, so
-- that callbacks of one campaign don't wait for one another; the sum is the count.
CREATE TABLE campaign_counts (
    campaign_id uuid NOT NULL REFERENCES campaigns ON DELETE CASCADE,
    shard smallint NOT NULL,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    pending integer NOT NULL DEFAULT 0,
    sending integer NOT NULL DEFAULT 0,
    sent integer NOT NULL DEFAULT 0,
    delivered integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    unknown integer NOT NULL DEFAULT 0,
    opted_out integer NOT NULL DEFAULT 0,
    skipped integer NOT NULL DEFAULT 0,
    canceled integer NOT NULL DEFAULT 0,
    PRIMARY KEY (campaign_id, shard)
);
CALL hum.tenant_table('campaign_counts');

-- Counting is the database's own, so that the counts are the recipients', whoever changes them.
CREATE FUNCTION hum.count_recipients() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    came CONSTANT text := 'SELECT org_id, campaign_id, status, 1 AS by FROM after';
    went CONSTANT text := 'SELECT org_id, campaign_id, status, -1 AS by FROM before';
BEGIN
    EXECUTE format($q$
        INSERT INTO campaign_counts AS c (campaign_id, shard, org_id, pending, sending, sent, delivered, failed, unknown,
                                          opted_out, skipped, canceled)
        SELECT campaign_id, pg_backend_pid() %% 16, org_id,
               coalesce(sum(by) FILTER (WHERE status = 'pending'), 0),
               coalesce(sum(by) FILTER (WHERE status = 'sending'), 0),
               coalesce(sum(by) FILTER (WHERE status = 'sent'), 0),
               coalesce(sum(by) FILTER (WHERE status = 'delivered'), 0),
               coalesce(sum(by) FILTER (WHERE status = 'failed'), 0),
               coalesce(sum(by) FILTER (WHERE status = 'unknown'), 0),
               coalesce(sum(by) FILTER (WHERE status = 'opted_out'), 0),
               coalesce(sum(by) FILTER (WHERE status = 'skipped'), 0),
               coalesce(sum(by) FILTER (WHERE status = 'canceled'), 0)
          FROM (SELECT org_id, campaign_id, status, sum(by) AS by FROM (%s) each
                 GROUP BY org_id, campaign_id, status HAVING sum(by) <> 0) moved
         WHERE EXISTS (SELECT FROM campaigns WHERE id = moved.campaign_id)
         GROUP BY org_id, campaign_id
         ORDER BY campaign_id
        ON CONFLICT (campaign_id, shard) DO UPDATE
           SET pending = c.pending + excluded.pending, sending = c.sending + excluded.sending, sent = c.sent + excluded.sent,
               delivered = c.delivered + excluded.delivered, failed = c.failed + excluded.failed,
               unknown = c.unknown + excluded.unknown, opted_out = c.opted_out + excluded.opted_out,
               skipped = c.skipped + excluded.skipped, canceled = c.canceled + excluded.canceled
    $q$, CASE TG_OP WHEN 'INSERT' THEN came WHEN 'DELETE' THEN went ELSE came || ' UNION ALL ' || went END);
    RETURN NULL;
END
$$;
CREATE TRIGGER campaign_recipients_made AFTER INSERT ON campaign_recipients
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION hum.count_recipients();
CREATE TRIGGER campaign_recipients_changed AFTER UPDATE ON campaign_recipients
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION hum.count_recipients();
CREATE TRIGGER campaign_recipients_gone AFTER DELETE ON campaign_recipients
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION hum.count_recipients();

-- A recipient's text: at most one that is not canceled, whatever else goes wrong.
CREATE UNIQUE INDEX messages_recipient ON messages (recipient_id) WHERE recipient_id IS NOT NULL AND status <> 'canceled';
-- A campaign's texts that wait for the sender.
CREATE INDEX messages_campaign ON messages (campaign_id) WHERE campaign_id IS NOT NULL AND due_at IS NOT NULL;

-- A recipient's status is its text's, in the transaction that changes that: a callback's, a person's, a sweep's.  A text that was
-- taken back because the campaign was paused, or whose thread somebody closed in the meantime, is written again.
CREATE FUNCTION hum.follow_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status = 'canceled' AND NEW.error_code IN ('paused', 'closed') THEN
        UPDATE campaign_recipients
           SET status = 'pending', reason = NULL, message_id = NULL, due_at = clock_timestamp(), changed_at = clock_timestamp()
         WHERE id = NEW.recipient_id AND message_id = NEW.id;
    ELSE
        UPDATE campaign_recipients
           SET status = CASE WHEN NEW.status IN ('scheduled', 'queued') THEN 'sending'
                             WHEN NEW.status = 'undelivered' THEN 'failed'
                             WHEN NEW.status = 'expired' THEN 'skipped'
                             WHEN NEW.status = 'canceled' AND NEW.error_code = 'opted_out' THEN 'opted_out'
                             ELSE NEW.status END,
               reason = coalesce(NEW.error_code, CASE WHEN NEW.status IN ('canceled', 'expired', 'opted_out') THEN NEW.status END),
               changed_at = clock_timestamp()
         WHERE id = NEW.recipient_id AND message_id = NEW.id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER messages_of_campaigns AFTER UPDATE OF status, error_code ON messages
    FOR EACH ROW WHEN (NEW.recipient_id IS NOT NULL
                       AND (NEW.status IS DISTINCT FROM OLD.status OR NEW.error_code IS DISTINCT FROM OLD.error_code))
    EXECUTE FUNCTION hum.follow_message();

-- Who opts out is no recipient any more of what is under way, whichever way it was said.
CREATE FUNCTION hum.follow_opt_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The contact's rows first: of a campaign that is new, the planner does not know how many there are.
    WITH waiting AS MATERIALIZED (
        SELECT id, campaign_id FROM campaign_recipients
         WHERE org_id = NEW.org_id AND contact_e164 = NEW.contact_e164 AND status = 'pending')
    UPDATE campaign_recipients r SET status = 'opted_out', reason = 'opted_out', changed_at = clock_timestamp()
      FROM waiting w JOIN campaigns c ON c.id = w.campaign_id
     WHERE r.id = w.id AND r.status = 'pending' AND c.status IN ('queued', 'running', 'paused');
    RETURN NULL;
END
$$;
CREATE TRIGGER opt_outs_of_recipients AFTER INSERT OR UPDATE OF opted_out ON opt_outs
    FOR EACH ROW WHEN (NEW.opted_out) EXECUTE FUNCTION hum.follow_opt_out();

-- What changes in a campaign is told to those who follow the inbox.
ALTER TABLE inbox_changes ADD COLUMN campaign_id uuid;
ALTER TABLE inbox_changes DROP CONSTRAINT inbox_changes_check;
ALTER TABLE inbox_changes ADD CHECK (num_nonnulls(conversation_id, message_id, campaign_id) = 1);
CREATE FUNCTION hum.tell_campaign() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_changes (org_id, campaign_id)
    VALUES (NEW.org_id, CASE TG_TABLE_NAME WHEN 'campaigns' THEN (to_jsonb(NEW) ->> 'id')::uuid
                                           ELSE (to_jsonb(NEW) ->> 'campaign_id')::uuid END);
    PERFORM pg_notify('hum_inbox', NEW.org_id::text);
    RETURN NULL;
END
$$;
CREATE TRIGGER campaigns_tell AFTER INSERT ON campaigns FOR EACH ROW EXECUTE FUNCTION hum.tell_campaign();
CREATE TRIGGER campaigns_tell_change AFTER UPDATE ON campaigns
    FOR EACH ROW WHEN ((OLD.name, OLD.status, OLD.reason, OLD.launched_at) IS DISTINCT FROM
                       (NEW.name, NEW.status, NEW.reason, NEW.launched_at))
    EXECUTE FUNCTION hum.tell_campaign();
CREATE TRIGGER campaign_counts_tell AFTER INSERT OR UPDATE ON campaign_counts
    FOR EACH ROW EXECUTE FUNCTION hum.tell_campaign();
