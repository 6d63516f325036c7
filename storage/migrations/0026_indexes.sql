-- Indexes of questions that read more rows than they needed.

-- The audit log of an actor, and of an operation.
CREATE INDEX audit_log_actor ON audit_log (org_id, actor, id DESC);
CREATE INDEX audit_log_action ON audit_log (org_id, action, id DESC);

-- An organization's texts in flight, and those that the carrier has accepted since the last roll-up: they count against
-- its plan.
CREATE INDEX messages_in_flight ON messages (org_id) WHERE due_at IS NULL AND status = 'queued';
CREATE INDEX usage_entries_uncounted ON usage_entries (org_id, used_at)
    WHERE meter = 'messages_sent' AND counted_quantity IS NULL;

-- Tests of tools whose process may have died.
CREATE INDEX tool_runs_running_tests ON tool_runs (started_at) WHERE status = 'running' AND purpose = 'test';
