-- Organizations that an operator deletes, or has deleted: where the deletion is, and what remains to be known of it.
-- No tenant's table: the organization is gone, and its own audit log with it.

CREATE TABLE deleted_organizations (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    -- Who asked for it, as the audit log names operators.
    actor text NOT NULL,
    -- The numbers that it had.  The carrier account still holds them.
    numbers text[] NOT NULL,
    rows bigint NOT NULL DEFAULT 0,
    begun_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
GRANT SELECT, INSERT, UPDATE ON deleted_organizations TO hum_system;

-- Entries of the audit log are deleted with their organization, and never otherwise.
GRANT DELETE ON audit_log, audit_seals TO hum_system;
CREATE POLICY with_organization ON audit_log AS RESTRICTIVE FOR DELETE TO hum_system
    USING (org_id IN (SELECT d.id FROM deleted_organizations d WHERE d.ended_at IS NULL));
CREATE POLICY with_organization ON audit_seals AS RESTRICTIVE FOR DELETE TO hum_system
    USING (org_id IN (SELECT d.id FROM deleted_organizations d WHERE d.ended_at IS NULL));

-- Some rows of one organization, of any tenant's table; return how many.  A row of a partitioned table is not known by its ctid alone:
-- the rows of other partitions that go with it are that organization's, too.
CREATE FUNCTION hum.delete_rows_of(org uuid, tenant_table regclass, most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    deleted bigint;
BEGIN
    EXECUTE format('DELETE FROM %1$s WHERE org_id = $1 AND ctid = ANY (ARRAY(SELECT ctid FROM %1$s WHERE org_id = $1 LIMIT $2))',
                   tenant_table) USING org, most;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;
REVOKE EXECUTE ON FUNCTION hum.delete_rows_of(uuid, regclass, integer) FROM public;
GRANT EXECUTE ON FUNCTION hum.delete_rows_of(uuid, regclass, integer) TO hum_system;
