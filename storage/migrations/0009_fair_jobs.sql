-- Jobs know their organization, so that one's backlog does not stand before another's work.

CREATE INDEX pgqueuer_organization ON pgqueuer (entrypoint, (headers ->> 'organization'), execute_after, id)
 WHERE status IN ('queued', 'picked');

-- How many jobs of one kind are ready or running for an organization, but for one.  The application may not read the
-- queue; it may know this before it enqueues.
CREATE FUNCTION hum.active_jobs(kind text, organization uuid, besides bigint DEFAULT NULL) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT count(*) FROM pgqueuer
     WHERE entrypoint = kind AND headers ->> 'organization' = organization::text
       AND (status = 'picked' OR status = 'queued' AND execute_after <= now())
       AND (besides IS NULL OR id <> besides)
$$;
REVOKE EXECUTE ON FUNCTION hum.active_jobs(text, uuid, bigint) FROM public;
GRANT EXECUTE ON FUNCTION hum.active_jobs(text, uuid, bigint) TO hum_app, hum_system;
