-- Campaigns: one text to many contacts, to each of them once.

CREATE TABLE campaigns (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name text NOT NULL,
    -- The sending number; null once the organization has released it.
    number_id uuid REFERENCES numbers ON DELETE SET NULL,
    -- The flow that answers replies.
    flow_id uuid REFERENCES flows ON DELETE SET NULL,
    body_template text NOT NULL,
    media_urls text[] NOT NULL DEFAULT '{}',
    throttle_per_minute integer,
    scheduled_start_at timestamptz,
    expires_at timestamptz,
    honor_quiet_hours boolean NOT NULL DEFAULT true,
    status text NOT NULL DEFAULT 'draft'
        CHECK (status IN ('draft', 'queued', 'running', 'paused', 'completed', 'canceled', 'failed')),
    -- Why it is paused or failed: `person`, or the fault.
    reason text,
    -- Duplicate recipients in the list, in any spelling.
    duplicates integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    launched_at timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    -- When the dispatcher next has messages to create or to cancel; null: never.
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
    org_id uuid NOT NULL,
    campaign_id uuid NOT NULL REFERENCES campaigns ON DELETE CASCADE,
    -- Position in the list.
    position bigint GENERATED ALWAYS AS IDENTITY,
    -- E.164, or the original text if it is no phone number.
    contact_e164 text NOT NULL,
    -- Replaces the campaign's text.
    body text,
    -- Values of the text's variables, a JSON object; null: none.
    variables text,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sending', 'sent', 'delivered', 'failed', 'unknown',
                                                             'opted_out', 'skipped', 'canceled')),
    -- The reason for the status, or what the recipient waits for.
    reason text,
    -- Not texted before this time.
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The message, once it is created.
    message_id uuid,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (campaign_id, contact_e164)
);
-- With org_id, since pages filter by it: for a new campaign the planner knows nothing else.
CREATE INDEX campaign_recipients_page ON campaign_recipients (campaign_id, org_id, position);
CREATE INDEX campaign_recipients_status ON campaign_recipients (campaign_id, org_id, status, position);
CREATE INDEX campaign_recipients_sending ON campaign_recipients (campaign_id) WHERE status = 'sending';
CREATE INDEX campaign_recipients_due ON campaign_recipients (campaign_id, due_at, position) WHERE status = 'pending';
CREATE INDEX campaign_recipients_contact ON campaign_recipients (org_id, contact_e164);
-- The latest outcomes, for the decision whether to continue.
CREATE INDEX campaign_recipients_latest ON campaign_recipients (campaign_id, changed_at DESC)
    WHERE status IN ('sent', 'delivered', 'failed');
CALL hum.tenant_table('campaign_recipients');

-- Recipients per status. A transaction adds to one of a few shards, chosen by its connection, so that status
-- callbacks of one campaign do not wait for one another; the sum is the count.
CREATE TABLE campaign_counts (
    campaign_id uuid NOT NULL REFERENCES campaigns ON DELETE CASCADE,
    shard smallint NOT NULL,
    org_id uuid NOT NULL,
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

-- Count by trigger, so that the counts match the recipients whoever changes them.
CREATE FUNCTION hum.count_recipients() RETURNS trigger LANGUAGE plpgsql AS $$
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

-- Publish changed messages to followers, and update their recipients. A recipient whose message was canceled because
-- the campaign was paused, or its thread was closed, is pending again unless the campaign has ended.
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

-- Remove a contact that opts out from campaigns in progress. Rows are locked in order of their ids, as everywhere.
CREATE FUNCTION hum.follow_opt_out() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    -- The contact's rows first: for a new campaign the planner has no statistics.
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

CREATE TRIGGER campaign_recipients_made AFTER INSERT ON campaign_recipients
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION hum.count_recipients();
CREATE TRIGGER campaign_recipients_changed AFTER UPDATE ON campaign_recipients
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION hum.count_recipients();
CREATE TRIGGER campaign_recipients_gone AFTER DELETE ON campaign_recipients
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION hum.count_recipients();
CREATE TRIGGER opt_outs_of_recipients AFTER INSERT OR UPDATE OF opted_out ON opt_outs
    FOR EACH ROW WHEN (NEW.opted_out) EXECUTE FUNCTION hum.follow_opt_out();
CREATE TRIGGER messages_changed AFTER UPDATE ON messages
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION hum.follow_messages();
