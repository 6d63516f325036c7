-- Jobs know their organization, so that one's backlog does not stand before another's work.

CREATE INDEX pgqueuer_organization ON pgqueuer (entrypoint, (headers ->> 'organization'))
 WHERE status IN ('queued', 'picked');

-- What an organization is owed beyond its share of the queue: it waits here, where no worker looks for work.
CREATE TABLE parked_jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    job text NOT NULL,
    row_id uuid NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX parked_jobs_next ON parked_jobs (job, org_id, id);
CALL hum.tenant_table('parked_jobs');

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
