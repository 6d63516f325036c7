-- E-mail notifications: each person's preferences, pending notices, sent e-mails.

-- A member's preferences; null: the default of the member's role.
CREATE TABLE notification_wishes (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    voicemails boolean,
    webhooks boolean,
    limits boolean,
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX notification_wishes_user ON notification_wishes (user_id);
CALL hum.tenant_table('notification_wishes');

-- An e-mail: recipient, kind and outcome. Its text is rendered for sending and not stored.
CREATE TABLE emails (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    -- Null: an invited person.
    user_id uuid REFERENCES users ON DELETE CASCADE,
    invite_id uuid,
    to_address text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('invitation', 'voicemail', 'webhook', 'limit', 'digest')),
    notices integer NOT NULL DEFAULT 1,
    -- dropped: obsolete before it was sent. bounced: the server rejects the address.
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sent', 'failed', 'bounced', 'dropped')),
    attempts integer NOT NULL DEFAULT 0,
    -- The server's last error.
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE INDEX emails_page ON emails (org_id, id DESC);
CREATE INDEX emails_person ON emails (user_id, created_at) WHERE user_id IS NOT NULL;
CREATE INDEX emails_address ON emails (lower(to_address), created_at);
CREATE INDEX emails_age ON emails (created_at);
CALL hum.tenant_table('emails');
REVOKE INSERT, UPDATE, DELETE ON emails FROM hum_app;

-- A notice for a person, until the e-mail that contains it has ended.
CREATE TABLE notices (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('voicemail', 'webhook', 'limit')),
    -- The occurrence: one notice per person.
    event_id bigint NOT NULL,
    subject_id uuid NOT NULL,
    -- Data of the event for the e-mail's text, or null.
    facts json,
    due_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    email_id uuid REFERENCES emails ON DELETE CASCADE,
    UNIQUE (event_id, user_id)
);
CREATE INDEX notices_due ON notices (due_at) WHERE email_id IS NULL;
CREATE INDEX notices_person ON notices (user_id, org_id) WHERE email_id IS NULL;
CREATE INDEX notices_email ON notices (email_id) WHERE email_id IS NOT NULL;
CREATE INDEX notices_subject ON notices (subject_id);
CREATE INDEX notices_org ON notices (org_id);
CALL hum.tenant_table('notices');
REVOKE INSERT, UPDATE, DELETE ON notices FROM hum_app;
