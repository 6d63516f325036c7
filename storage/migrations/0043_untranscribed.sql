-- For how long the caller was heard to speak in turns whose transcript never came.
ALTER TABLE calls ADD COLUMN untranscribed_ms integer NOT NULL DEFAULT 0;
