-- What agents have offered in a call, a conversation or an event's run, and who is talking there.
ALTER TABLE booking_services ADD COLUMN number_suffices boolean NOT NULL DEFAULT false;

ALTER TABLE appointments DROP CONSTRAINT appointments_origin_check;
ALTER TABLE appointments
    ADD CONSTRAINT appointments_origin_check CHECK (origin IN ('call', 'conversation', 'api', 'outside', 'event'));
CREATE INDEX appointments_of_holder ON appointments (org_id, holder, id) WHERE holder IS NOT NULL;

CREATE TABLE booking_dialogues (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    -- As in appointments: the call, the conversation or the event's run.
    holder text NOT NULL,
    call_id uuid REFERENCES calls ON DELETE CASCADE,
    conversation_id uuid REFERENCES conversations ON DELETE CASCADE,
    contact_e164 text,
    -- Times that were offered: their key is t and their place. Appointments that were told: a and their place.
    times json NOT NULL DEFAULT '[]',
    appointments uuid[] NOT NULL DEFAULT '{}',
    -- Who the other side has shown to be, and when.
    verified_contact_id uuid REFERENCES contacts ON DELETE SET NULL,
    verified_at timestamptz,
    -- How often that was tried in vain, the last time then.
    failures integer NOT NULL DEFAULT 0,
    failed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, holder)
);
CREATE INDEX booking_dialogues_call ON booking_dialogues (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX booking_dialogues_conversation ON booking_dialogues (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX booking_dialogues_contact ON booking_dialogues (verified_contact_id) WHERE verified_contact_id IS NOT NULL;
CREATE INDEX booking_dialogues_e164 ON booking_dialogues (org_id, contact_e164) WHERE contact_e164 IS NOT NULL;
CREATE INDEX booking_dialogues_used ON booking_dialogues (used_at);
CALL hum.tenant_table('booking_dialogues');
CALL hum.hidden_table('booking_dialogues');
CREATE INDEX contacts_lower_name ON contacts (org_id, lower(name)) WHERE name IS NOT NULL;
CREATE INDEX appointment_changes_by ON appointment_changes (org_id, by) WHERE by IS NOT NULL;
