-- When this database was restored from a backup: what was to be sent before, may have been sent since the backup.
CREATE TABLE restorations (
    restored_at timestamptz PRIMARY KEY DEFAULT now()
);
GRANT SELECT ON restorations TO hum_system;
