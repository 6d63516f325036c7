-- Sending texts: whose turn it is, at which pace, and what became of each attempt.

-- When the message was due, as it is again if the carrier did not take it; when it is due once more after the carrier could not
-- deliver it.
ALTER TABLE message_attempts ADD COLUMN due_at timestamptz, ADD COLUMN retry_at timestamptz;
-- failed: the carrier took it and could not deliver it; another attempt is, or was, made.
ALTER TABLE message_attempts DROP CONSTRAINT message_attempts_state_check;
ALTER TABLE message_attempts ADD CONSTRAINT message_attempts_state_check
    CHECK (state IN ('posting', 'accepted', 'rejected', 'withdrawn', 'absent', 'unknown', 'failed'));
ALTER TABLE message_attempts ADD CHECK (retry_at IS NULL OR state = 'failed');
-- Texts of one thread leave one after another.
CREATE INDEX message_attempts_posting_pair ON message_attempts (from_e164, to_e164) WHERE state = 'posting';
CREATE INDEX message_attempts_retry ON message_attempts (retry_at) WHERE retry_at IS NOT NULL;
-- Those of which the carrier has not told the end.
CREATE INDEX message_attempts_open ON message_attempts ((coalesce(looked_at, started_at)))
    WHERE state = 'accepted' AND carrier_status IN ('accepted', 'scheduled', 'queued', 'sending', 'sent');

-- One that the carrier could not deliver is sent, and due once more.
ALTER TABLE messages DROP CONSTRAINT messages_check2;
ALTER TABLE messages ADD CHECK (due_at IS NULL OR status IN ('scheduled', 'queued', 'sent'));

-- Conversations first, and each number's campaigns apart, so that one of them that must wait delays no other.
DROP INDEX messages_due;
CREATE INDEX messages_due ON messages (number_e164, due_at, created_at, id) WHERE due_at IS NOT NULL AND lane = 0;
CREATE INDEX messages_due_campaign
    ON messages (number_e164, (coalesce(campaign_id, '00000000-0000-0000-0000-000000000000')), due_at, created_at, id)
    WHERE due_at IS NOT NULL AND lane = 1;
CREATE INDEX messages_due_number ON messages (number_e164) WHERE due_at IS NOT NULL;

-- How often lately the carrier found a number too fast, and when it last did; and for what fault it refused its texts altogether.
ALTER TABLE text_paces
    ADD COLUMN setbacks integer NOT NULL DEFAULT 0,
    ADD COLUMN slowed_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN stopped_code text,
    ADD COLUMN stopped_at timestamptz;

-- When each campaign with a throttle may send its next text.  Of all processes.
CREATE TABLE campaign_paces (
    campaign_id uuid PRIMARY KEY,
    per_minute integer NOT NULL CHECK (per_minute > 0),
    next_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON campaign_paces TO hum_system;
