-- The audit log of a stretch of time.

CREATE INDEX audit_log_at ON audit_log (org_id, at);
