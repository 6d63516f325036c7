-- An operator has an event handled again that a reader could not handle.
ALTER TABLE events_set_aside ADD COLUMN released_at timestamptz;
GRANT UPDATE ON events_set_aside TO hum_system;
