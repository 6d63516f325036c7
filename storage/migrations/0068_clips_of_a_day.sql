-- Sentences of flows that are rendered count by day, as previews of voices do.

ALTER TABLE studio_uses DROP CONSTRAINT studio_uses_kind_check,
    ADD CONSTRAINT studio_uses_kind_check CHECK (kind IN ('trial', 'proposal', 'preview', 'clip'));
