-- Each stream of a call keeps a recording of its own.  `calls.recording_path`, `.recording_ms` and `.recording_bytes` are of calls
-- that were recorded before: their last recording.
ALTER TABLE call_streams
    ADD COLUMN recording_path text,
    -- Null until it is stored: its process is writing it, or has died.
    ADD COLUMN recording_ms integer,
    ADD COLUMN recording_bytes bigint;
