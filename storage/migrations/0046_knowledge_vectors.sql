-- What passages mean, as vectors, for deployments with an embeddings endpoint.  Without an extension: who looks things up reads a
-- document's vectors as one value, keeps them, and compares all of them (docs/decisions/0058).

ALTER TABLE knowledge_documents
    -- The model, and how many numbers, of its passages' vectors; null: they have none.
    ADD COLUMN embedded_by text,
    -- When its passages are embedded, or embedded again, if they are not the present model's.
    ADD COLUMN embed_at timestamptz;
CREATE INDEX knowledge_documents_embed ON knowledge_documents (embed_at) WHERE status = 'ready' AND passages > 0;

CREATE TABLE knowledge_vectors (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    document_id uuid PRIMARY KEY REFERENCES knowledge_documents ON DELETE CASCADE,
    -- Tells them from those that were there before.
    made_at timestamptz NOT NULL,
    -- The numbers of each passage in its order, float16, little-endian.
    embeddings bytea NOT NULL
);
CREATE INDEX knowledge_vectors_org ON knowledge_vectors (org_id);
ALTER TABLE knowledge_vectors ALTER COLUMN embeddings SET STORAGE EXTERNAL;
CALL hum.tenant_table('knowledge_vectors');
