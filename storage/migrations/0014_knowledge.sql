-- Knowledge: documents that agents search, and their passages.

CREATE TABLE knowledge_documents (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name text NOT NULL,
    language text NOT NULL,
    -- The language's text search configuration, as text: a regconfig would not survive pg_upgrade.
    config text NOT NULL,
    -- Null: uploaded.
    url text,
    refetch_hours integer NOT NULL DEFAULT 0,
    next_fetch_at timestamptz,
    -- The declared media type; null: detected from the content each time.
    named_format text,
    -- The detected media type.
    format text CHECK (format IN ('text', 'markdown', 'html', 'pdf', 'docx', 'csv')),
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'ready', 'failed')),
    failure text,
    -- Generation of the conversion: an outdated one stores nothing.
    revision integer NOT NULL DEFAULT 1,
    requested_at timestamptz NOT NULL DEFAULT now(),
    converted_at timestamptz,
    content_bytes integer NOT NULL DEFAULT 0,
    -- Hash of the content that the passages were made from.
    content_hash bytea,
    passages integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- Embeddings, for deployments with an embeddings endpoint. Without an extension: a search reads a document's
    -- vectors as one value, caches them, and compares all (docs/decisions/0058).
    -- Model and dimensions of the vectors; null: none.
    embedded_by text,
    -- When its passages are to be embedded, or embedded again for another model.
    embed_at timestamptz
);
CREATE INDEX knowledge_documents_page ON knowledge_documents (org_id, id DESC);
CREATE INDEX knowledge_documents_due ON knowledge_documents (next_fetch_at) WHERE next_fetch_at IS NOT NULL;
CREATE INDEX knowledge_documents_pending ON knowledge_documents (requested_at) WHERE status = 'pending';
CREATE INDEX knowledge_documents_embed ON knowledge_documents (embed_at) WHERE status = 'ready' AND passages > 0;
CALL hum.tenant_table('knowledge_documents');

-- Uploaded content, until it is converted.
CREATE TABLE knowledge_contents (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    document_id uuid PRIMARY KEY REFERENCES knowledge_documents ON DELETE CASCADE,
    -- Null: detect it from the content.
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
-- A search reads the words of every passage and the text of five: the text is stored out of line.
ALTER TABLE knowledge_passages ALTER COLUMN words SET STORAGE MAIN;
ALTER TABLE knowledge_passages ALTER COLUMN text SET STORAGE EXTERNAL;
CALL hum.tenant_table('knowledge_passages');

CREATE TABLE knowledge_vectors (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    document_id uuid PRIMARY KEY REFERENCES knowledge_documents ON DELETE CASCADE,
    -- Identifies this version in caches.
    made_at timestamptz NOT NULL,
    -- One vector per passage, in order: float16, little-endian.
    embeddings bytea NOT NULL
);
CREATE INDEX knowledge_vectors_org ON knowledge_vectors (org_id);
ALTER TABLE knowledge_vectors ALTER COLUMN embeddings SET STORAGE EXTERNAL;
CALL hum.tenant_table('knowledge_vectors');
