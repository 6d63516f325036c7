-- What agents want to do and may not do alone: a row from the question to the moment when the agent knows what came of it.

CREATE TABLE approvals (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid REFERENCES calls ON DELETE CASCADE,
    conversation_id uuid REFERENCES conversations ON DELETE CASCADE,
    -- The turn in which a text's agent asked.
    run_id uuid,
    flow_id uuid NOT NULL,
    flow_version integer NOT NULL,
    tool text NOT NULL,
    summary text NOT NULL,
    arguments text NOT NULL,
    schema text NOT NULL,
    state text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'approved', 'done', 'failed', 'denied', 'expired', 'void')),
    edited boolean NOT NULL DEFAULT false,
    decided_by text,
    decided_at timestamptz,
    reason text,
    -- When the tool began to run: it is begun once.
    begun_at timestamptz,
    result text,
    told_at timestamptz,
    expires_at timestamptz NOT NULL,
    -- When something was last done for it: what nobody works on is taken up again.
    touched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The transaction of its last change, for those who follow.
    changed_xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (num_nonnulls(call_id, conversation_id) = 1),
    CHECK ((state = 'pending') = (decided_at IS NULL))
);
CREATE INDEX approvals_page ON approvals (org_id, id DESC);
CREATE INDEX approvals_changes ON approvals (org_id, changed_xid, id);
CREATE INDEX approvals_call ON approvals (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX approvals_conversation ON approvals (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX approvals_pending ON approvals (expires_at) WHERE state = 'pending';
CREATE INDEX approvals_owed ON approvals (touched_at)
    WHERE state IN ('approved', 'done', 'failed', 'denied', 'expired') AND told_at IS NULL;
CREATE INDEX approvals_age ON approvals (created_at);
CALL hum.tenant_table('approvals');

CREATE FUNCTION hum.approval_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_xid := pg_current_xact_id();
    PERFORM pg_notify('hum_approvals', NEW.org_id::text);
    RETURN NEW;
END
$$;
CREATE TRIGGER approvals_changed BEFORE INSERT OR UPDATE OF state, result, told_at ON approvals
    FOR EACH ROW EXECUTE FUNCTION hum.approval_changed();
