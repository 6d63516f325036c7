-- A call may leave its stream and go on: what it owes then, and whether the stream has been left for it.
ALTER TABLE calls ADD COLUMN owed jsonb;
ALTER TABLE calls ADD COLUMN owed_due boolean NOT NULL DEFAULT false;
-- How many of its streams were left for something else; the others were lost, or are the last.
ALTER TABLE calls ADD COLUMN streams_left integer NOT NULL DEFAULT 0;
-- The reason with which the call leaves its stream after this run; null: it stays.
ALTER TABLE tool_runs ADD COLUMN leaves text;
