-- Knowledge: documents that agents look things up in, and the passages that were made of them.

CREATE TABLE knowledge_documents (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name text NOT NULL,
    language text NOT NULL,
    -- PostgreSQL's configuration of that language.  Text, for no type of the catalogue survives pg_upgrade.
    config text NOT NULL,
    -- Null: it was sent.
    url text,
    refetch_hours integer NOT NULL DEFAULT 0,
    next_fetch_at timestamptz,
    -- What it was said to be; null: that is seen from the content each time.
    named_format text,
    -- What it was taken for.
    format text CHECK (format IN ('text', 'markdown', 'html', 'pdf', 'docx', 'csv')),
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'ready', 'failed')),
    failure text,
    -- Counts what it was asked to become: a conversion that is overtaken stores nothing.
    revision integer NOT NULL DEFAULT 1,
    requested_at timestamptz NOT NULL DEFAULT now(),
    converted_at timestamptz,
    content_bytes integer NOT NULL DEFAULT 0,
    -- Of what the passages were made from.
    content_hash bytea,
    passages integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX knowledge_documents_page ON knowledge_documents (org_id, id DESC);
CREATE INDEX knowledge_documents_due ON knowledge_documents (next_fetch_at) WHERE next_fetch_at IS NOT NULL;
CREATE INDEX knowledge_documents_pending ON knowledge_documents (requested_at) WHERE status = 'pending';
CALL hum.tenant_table('knowledge_documents');

-- What was sent, until it is converted.
CREATE TABLE knowledge_contents (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    document_id uuid PRIMARY KEY REFERENCES knowledge_documents ON DELETE CASCADE,
    -- Null: it has to be seen from the content.
    format text,
    body bytea NOT NULL
);
CREATE INDEX knowledge_contents_org ON knowledge_contents (org_id);
CALL hum.tenant_table('knowledge_contents');

CREATE TABLE knowledge_passages (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    document_id uuid NOT NULL REFERENCES knowledge_documents ON DELETE CASCADE,
    position integer NOT NULL,
    heading text NOT NULL,
    text text NOT NULL,
    words tsvector NOT NULL,
    PRIMARY KEY (document_id, position)
);
CREATE INDEX knowledge_passages_org ON knowledge_passages (org_id);
-- A look-up reads the words of every passage in its documents, and the text of five: the text is what goes out of line.
ALTER TABLE knowledge_passages ALTER COLUMN words SET STORAGE MAIN, ALTER COLUMN text SET STORAGE EXTERNAL;
CALL hum.tenant_table('knowledge_passages');
