-- Files for texts that are to be sent; the columns of imports of contacts, and the rows that were not imported.

-- Files that people and keys have stored for texts.
CREATE TABLE sms_uploads (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    -- `user:<id>` or `key:<id>`, as in the audit log.
    made_by text NOT NULL,
    content_type text NOT NULL,
    size_bytes bigint NOT NULL,
    path text NOT NULL,
    -- Whether the file is in the store: the row is written before it.
    stored boolean NOT NULL DEFAULT false,
    -- The message that was sent with the file, and owns it from then on.
    message_id uuid REFERENCES messages ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX sms_uploads_pending ON sms_uploads (org_id) WHERE message_id IS NULL;
CREATE INDEX sms_uploads_message ON sms_uploads (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX sms_uploads_age ON sms_uploads (created_at);
CALL hum.tenant_table('sms_uploads');
-- An upload that no message owns leaves a row that owes its file, whether it is deleted, swept, or goes with its organization.
CREATE TRIGGER sms_uploads_owed AFTER DELETE ON sms_uploads
    FOR EACH ROW WHEN (OLD.message_id IS NULL) EXECUTE FUNCTION hum.owe_media();

-- The titles of the file's columns, what they become, and how dates are written in it.
ALTER TABLE contact_imports
    ADD COLUMN header text[] NOT NULL DEFAULT '{}',
    ADD COLUMN columns text[] NOT NULL DEFAULT '{}',
    ADD COLUMN date_order text NOT NULL DEFAULT 'ymd';

-- Rows that were not imported, as they stand in the file.
CREATE TABLE contact_import_failures (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    import_id uuid NOT NULL REFERENCES contact_imports ON DELETE CASCADE,
    line integer NOT NULL,
    reason text NOT NULL,
    cells text[] NOT NULL,
    PRIMARY KEY (import_id, line)
);
CREATE INDEX contact_import_failures_org ON contact_import_failures (org_id);
CALL hum.tenant_table('contact_import_failures');
