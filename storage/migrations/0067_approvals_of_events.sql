-- Agents that events start may ask for approval, too: the run waits for the decisions, holding nothing, and goes on when all are there.

ALTER TABLE event_runs DROP CONSTRAINT event_runs_status_check, DROP CONSTRAINT event_runs_check;
ALTER TABLE event_runs
    ADD CONSTRAINT event_runs_status_check
        CHECK (status IN ('waiting', 'running', 'waiting_for_approval', 'completed', 'failed', 'skipped')),
    ADD CONSTRAINT event_runs_check
        CHECK ((finished_at IS NULL) = (status IN ('waiting', 'running', 'waiting_for_approval'))),
    -- When it last went on: what its tools did before is known to its agent.
    ADD COLUMN resumed_at timestamptz;

ALTER TABLE approvals ADD COLUMN event_run_id uuid REFERENCES event_runs ON DELETE CASCADE;
ALTER TABLE approvals DROP CONSTRAINT approvals_check;
ALTER TABLE approvals ADD CONSTRAINT approvals_check CHECK (num_nonnulls(call_id, conversation_id, event_run_id) = 1);
CREATE INDEX approvals_event_run ON approvals (event_run_id) WHERE event_run_id IS NOT NULL;
