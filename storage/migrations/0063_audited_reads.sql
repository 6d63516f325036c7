-- Reads in the audit log: who read a call, listened to it, or exported what there is.

-- Which five minutes a read was in; null for everything else.  The index makes repeated reads one entry.
ALTER TABLE audit_log ADD COLUMN read_slot bigint;
CREATE UNIQUE INDEX audit_log_reads ON audit_log (org_id, subject, action, actor, read_slot) WHERE read_slot IS NOT NULL;
