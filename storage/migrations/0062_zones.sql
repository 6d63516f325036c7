-- Where each media process runs (its HUM_ZONE; empty: in no zone), and which release of HUM.

ALTER TABLE media_links ADD COLUMN zone text NOT NULL DEFAULT '';
ALTER TABLE media_links ADD COLUMN version text NOT NULL DEFAULT '';
-- When a stream did not come about that was offered there; until its next sign of life others are asked first.
ALTER TABLE media_links ADD COLUMN doubted_at timestamptz;
