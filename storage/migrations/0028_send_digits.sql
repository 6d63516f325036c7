-- The keys that are pressed as tones after this run; null: none.
ALTER TABLE tool_runs ADD COLUMN digits text;
