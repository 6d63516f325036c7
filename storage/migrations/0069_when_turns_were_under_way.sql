-- When a stream's unfinished turns were last reported: how long its caller has heard nothing since.
ALTER TABLE call_streams ADD COLUMN under_way_at timestamptz NOT NULL DEFAULT clock_timestamp();
