-- E-mails of callers whose transfers nobody took, and who left no message.
ALTER TABLE notification_wishes ADD COLUMN transfers boolean;
ALTER TABLE notices DROP CONSTRAINT notices_kind_check,
    ADD CONSTRAINT notices_kind_check CHECK (kind IN ('voicemail', 'transfer', 'webhook', 'limit'));
ALTER TABLE emails DROP CONSTRAINT emails_kind_check,
    ADD CONSTRAINT emails_kind_check CHECK (kind IN ('invitation', 'voicemail', 'transfer', 'webhook', 'limit', 'digest'));
