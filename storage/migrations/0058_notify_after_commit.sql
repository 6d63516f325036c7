-- Notifications leave after the commit: storage/db.py.  Triggers would notify inside the transaction.

CREATE OR REPLACE FUNCTION hum.approval_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_xid := pg_current_xact_id();
    RETURN NEW;
END
$$;

-- Whoever enqueues a job wakes the workers (control/jobs.py); what else happens to one concerns the worker that has it.
DROP TRIGGER tg_pgqueuer_changed ON pgqueuer;
DROP FUNCTION fn_pgqueuer_changed();
