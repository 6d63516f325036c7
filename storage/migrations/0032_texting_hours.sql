-- Texts and calls wait for day where the contact lives unless an organization decides otherwise, and when a contact has
-- last written: whoever has just written is awake.

ALTER TABLE organizations
    ALTER COLUMN recipient_hours_enabled SET DEFAULT true,
    ALTER COLUMN voice_quiet_hours_enabled SET DEFAULT true;
-- Until now nobody had to decide.
SET LOCAL ROLE hum_system;
UPDATE organizations SET recipient_hours_enabled = true, voice_quiet_hours_enabled = true;
SET LOCAL ROLE hum_owner;

ALTER TABLE conversations ADD COLUMN last_inbound_at timestamptz;
