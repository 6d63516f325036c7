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

-- Entries of the audit log are deleted with their organization, and never otherwise: the system itself can't delete any.
CREATE POLICY with_organization ON audit_log TO hum_owner
    USING (org_id IN (SELECT d.id FROM deleted_organizations d WHERE d.ended_at IS NULL));
CREATE POLICY with_organization ON audit_seals TO hum_owner
    USING (org_id IN (SELECT d.id FROM deleted_organizations d WHERE d.ended_at IS NULL));
CREATE FUNCTION hum.delete_audit_of(org uuid, audit_table regclass, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    deleted bigint;
BEGIN
    IF audit_table NOT IN ('audit_log'::regclass, 'audit_seals'::regclass) THEN
        RAISE insufficient_privilege USING MESSAGE = format('%s is no table of the audit log', audit_table);
    END IF;
    EXECUTE format('DELETE FROM %1$s WHERE org_id = $1 AND ctid = ANY (ARRAY(SELECT ctid FROM %1$s WHERE org_id = $1 LIMIT $2))',
                   audit_table) USING org, most;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;
REVOKE EXECUTE ON FUNCTION hum.delete_audit_of(uuid, regclass, integer) FROM public;
GRANT EXECUTE ON FUNCTION hum.delete_audit_of(uuid, regclass, integer) TO hum_system;

-- Some rows of one organization, of any tenant's table; return how many.  A row of a partitioned table is not known by its ctid alone:
-- the rows of other partitions that go with it are that organization's, too.
CREATE FUNCTION hum.delete_rows_of(org uuid, tenant_table regclass, most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    deleted bigint;
BEGIN
    IF tenant_table IN ('audit_log'::regclass, 'audit_seals'::regclass) THEN
        RETURN hum.delete_audit_of(org, tenant_table, most);
    END IF;
    EXECUTE format('DELETE FROM %1$s WHERE org_id = $1 AND ctid = ANY (ARRAY(SELECT ctid FROM %1$s WHERE org_id = $1 LIMIT $2))',
                   tenant_table) USING org, most;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;
REVOKE EXECUTE ON FUNCTION hum.delete_rows_of(uuid, regclass, integer) FROM public;
GRANT EXECUTE ON FUNCTION hum.delete_rows_of(uuid, regclass, integer) TO hum_system;
