-- Imports of contacts: a worker reads the file into rows of ours, and then takes those into the contacts.  Each batch is
-- one transaction with its progress, so that whoever carries an import on finds what is left.

CREATE TABLE contact_imports (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    made_by text NOT NULL,
    dry_run boolean NOT NULL,
    -- The country of numbers that are written without one.
    region text,
    -- As it was uploaded, in UTF-8; dropped when all of it has been read.
    file bytea,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'completed', 'failed')),
    -- How far the file has been read, with its empty rows.
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

-- What was read and is not taken yet: of one number one row.
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

-- Calls that go on, by whom they are counted: an organization's, and a caller's to it.
CREATE INDEX calls_live_org ON calls (org_id, from_e164) WHERE status IN ('queued', 'ringing', 'in_progress');
