-- What is told of an organization's calls after it was deleted: their files are owed for as long as it takes to delete them.

ALTER TABLE erased_calls DROP CONSTRAINT erased_calls_org_id_fkey;

-- As in 0071, with one statement that deletes: whoever may delete the audit log lets it delete from that, too.
CREATE OR REPLACE FUNCTION hum.delete_rows_of(org uuid, tenant_table regclass, most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    deleted bigint;
BEGIN
    EXECUTE format('DELETE FROM %1$s WHERE org_id = $1 AND ctid = ANY (ARRAY(SELECT ctid FROM %1$s WHERE org_id = $1 LIMIT $2))',
                   tenant_table) USING org, most;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;
CREATE OR REPLACE FUNCTION hum.delete_audit_of(org uuid, audit_table regclass, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF audit_table NOT IN ('audit_log'::regclass, 'audit_seals'::regclass) THEN
        RAISE insufficient_privilege USING MESSAGE = format('%s is no table of the audit log', audit_table);
    END IF;
    RETURN hum.delete_rows_of(org, audit_table, most);
END
$$;
