-- What waits is "pending" everywhere, and the next step of a call has its own name.

ALTER TABLE calls RENAME COLUMN owed TO next_step;
ALTER TABLE calls RENAME COLUMN owed_due TO next_step_due;
-- From version 18 on, PostgreSQL names this constraint after the column.
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_constraint WHERE conname = 'calls_owed_due_not_null') THEN
        ALTER TABLE calls RENAME CONSTRAINT calls_owed_due_not_null TO calls_next_step_due_not_null;
    END IF;
END $$;
ALTER TABLE conversations RENAME COLUMN turn_owed_at TO turn_pending_since;

ALTER TABLE crm_syncs DROP CONSTRAINT crm_syncs_state_check, ALTER COLUMN state SET DEFAULT 'pending';
DROP INDEX crm_syncs_due, crm_syncs_owed, crm_syncs_ended;

SET LOCAL ROLE hum_system;

UPDATE crm_syncs SET state = 'pending' WHERE state = 'owed';

SET LOCAL ROLE hum_owner;

ALTER TABLE crm_syncs ADD CONSTRAINT crm_syncs_state_check CHECK (state IN ('pending', 'done', 'failed'));
CREATE INDEX crm_syncs_due ON crm_syncs (connector_id, due_at, id) WHERE state = 'pending';
CREATE INDEX crm_syncs_pending ON crm_syncs (created_at) WHERE state = 'pending';
CREATE INDEX crm_syncs_ended ON crm_syncs (ended_at) WHERE state <> 'pending';
