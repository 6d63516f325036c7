-- The order of the words on texts of a contact (STOP, START, a person's change), which may be delivered in any order: the
-- latest by its own time stands.

ALTER TABLE opt_outs
    -- Whether the contact was ever opted out. A row without that only keeps the time of an opt-in.
    ADD COLUMN ever_out boolean NOT NULL DEFAULT true,
    -- The latest word that says the same as the row, if it is not the row's own.
    ADD COLUMN last_at timestamptz,
    ADD COLUMN last_source text,
    ADD COLUMN last_keyword text,
    ADD COLUMN last_message_id uuid REFERENCES messages ON DELETE SET NULL,
    -- The time of the latest word that says the opposite.
    ADD COLUMN opposed_at timestamptz,
    -- The time of the carrier's latest word on `carrier_blocked`. Null: it has said nothing.
    ADD COLUMN carrier_at timestamptz;
CREATE INDEX opt_outs_last_message ON opt_outs (last_message_id) WHERE last_message_id IS NOT NULL;
-- For purging opt-ins of contacts that were never opted out.
CREATE INDEX opt_outs_never ON opt_outs (org_id) WHERE NOT (ever_out OR opted_out);

SET LOCAL ROLE hum_system;
UPDATE opt_outs SET carrier_at = changed_at;
