-- Events: the transactional outbox, one partition of `events` per month, so that a month is dropped and not deleted
-- row by row.

CREATE SEQUENCE events_places;

GRANT USAGE ON SEQUENCE events_places TO hum_app, hum_system;

-- Return the number of months since year 0, in UTC.
CREATE FUNCTION hum.month_of(at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT date_part('year', at AT TIME ZONE 'UTC')::bigint * 12 + date_part('month', at AT TIME ZONE 'UTC')::bigint - 1
$$;

CREATE FUNCTION hum.month_begins(month bigint) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT make_timestamptz((month / 12)::integer, (month % 12)::integer + 1, 1, 0, 0, 0, 'UTC')
$$;

-- Return the lowest event id of a month: the month's number is in the upper 16 bits, a sequence shared by all months
-- in the lower 48. So an id tells its month, ids are unique across months, and they grow within a transaction.
CREATE FUNCTION hum.month_id(month bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT month << 48
$$;

-- The position of each reader in the events.
CREATE TABLE event_cursors (
    reader text PRIMARY KEY,
    xid xid8 NOT NULL,
    id bigint NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON event_cursors TO hum_system;
INSERT INTO event_cursors (reader, xid, id) VALUES ('audit', '0', 0);
INSERT INTO event_cursors (reader, xid, id) VALUES ('analytics', '0', 0);
INSERT INTO event_cursors (reader, xid, id) VALUES ('usage', '0', 0);

CREATE TABLE events (
    id bigint NOT NULL DEFAULT hum.month_id(hum.month_of(clock_timestamp())) + nextval('events_places') PRIMARY KEY,
    -- Readers read below pg_snapshot_xmin: an event that commits late has a late transaction, not a late id.
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    type text NOT NULL,
    subject_id uuid NOT NULL,
    -- Null after the payload was purged.
    data json,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Unique within each partition; `event_ids` holds the ids of events that producers may send twice.
    public_id uuid NOT NULL,
    version integer NOT NULL DEFAULT 1
) PARTITION BY RANGE (id);
CREATE INDEX events_horizon ON events (xid, id);
CREATE INDEX events_org ON events (org_id, xid, id) WHERE data IS NOT NULL;
CREATE INDEX events_subject ON events (org_id, subject_id) WHERE data IS NOT NULL;
CREATE INDEX events_age ON events (org_id, created_at) WHERE data IS NOT NULL;
CALL hum.tenant_table('events');
CREATE POLICY door ON events TO hum_owner
    USING (org_id = (SELECT hum.org_id())) WITH CHECK (org_id = (SELECT hum.org_id()));
REVOKE UPDATE, DELETE ON events FROM hum_app;
-- An event of a month without a partition is accepted here, and moved when the month is created.
CREATE TABLE events_unplaced PARTITION OF events DEFAULT;
CREATE UNIQUE INDEX events_unplaced_public ON events_unplaced (public_id);
ALTER TABLE events_unplaced ENABLE ROW LEVEL SECURITY;

-- The monthly partitions.
CREATE TABLE event_months (
    month bigint PRIMARY KEY,
    -- Its events were appended before this time.
    ends_at timestamptz NOT NULL,
    -- Set after its end: every event in it has a lower transaction, so a reader past this one can skip the month.
    closed_xid xid8,
    -- Archived up to this id, in so many files; `archived_at` is set when all of it is.
    archived_id bigint,
    archive_files integer NOT NULL DEFAULT 0,
    archived_at timestamptz,
    dropped_at timestamptz
);
GRANT SELECT ON event_months TO hum_app;
GRANT SELECT, UPDATE ON event_months TO hum_system;

-- Public ids of events that producers may send twice, so that each is stored once.
CREATE TABLE event_ids (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    public_id uuid NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, public_id)
);
CREATE INDEX event_ids_age ON event_ids (noted_at);
CALL hum.tenant_table('event_ids');
REVOKE UPDATE, DELETE ON event_ids FROM hum_app;

-- Quarantined events: one that a reader failed to handle is put here with its reason, and the reader goes on.

CREATE TABLE events_set_aside (
    reader text NOT NULL,
    event_id bigint NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    -- When an operator released the event for another attempt.
    released_at timestamptz,
    PRIMARY KEY (reader, event_id)
);
GRANT SELECT, INSERT, DELETE ON events_set_aside TO hum_system;
GRANT UPDATE ON events_set_aside TO hum_system;

-- Restores from a backup: sends that were pending in the backup may have been sent since.
CREATE TABLE restorations (
    restored_at timestamptz PRIMARY KEY DEFAULT now()
);
GRANT SELECT ON restorations TO hum_system;

-- Return the id below which a reader that has read all transactions before `after` has nothing left to read.
CREATE FUNCTION hum.unread_id(after xid8) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce((SELECT hum.month_id(m.month + 1) FROM public.event_months m WHERE m.closed_xid <= after
                      ORDER BY m.month DESC LIMIT 1), 0);
END
$$;

CREATE FUNCTION hum.month_table(month bigint) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('events_%s_%s', month / 12, lpad((month % 12 + 1)::text, 2, '0'))
$$;

-- Create the partition of a month; return false if it exists. Runs as the owner, for the system.
CREATE FUNCTION hum.make_event_month(month bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_variable
DECLARE
    name text := hum.month_table(month);
BEGIN
    IF EXISTS (SELECT FROM event_months m WHERE m.month = make_event_month.month) THEN
        RETURN false;
    END IF;
    -- Serialize concurrent creators: the second finds the month here.
    LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM event_months m WHERE m.month = make_event_month.month) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE public.%I (LIKE events INCLUDING DEFAULTS)', name);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (public_id)', name || '_public', name);
    LOCK TABLE events_unplaced IN ACCESS EXCLUSIVE MODE;
    -- Insert the moved rows after the partition is attached: its owner could not validate rows that policies hide.
    CREATE TABLE public.events_moving (LIKE events);
    WITH moved AS (DELETE FROM events_unplaced WHERE id >= hum.month_id(month) AND id < hum.month_id(month + 1) RETURNING *)
    INSERT INTO events_moving SELECT * FROM moved;
    EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                   name, hum.month_id(month), hum.month_id(month + 1));
    EXECUTE format('INSERT INTO %I SELECT * FROM events_moving', name);
    DROP TABLE events_moving;
    INSERT INTO event_months (month, ends_at) VALUES (month, hum.month_begins(month + 1));
    RETURN true;
END
$$;

-- Create the partitions of this month, of the `ahead` next ones and of unplaced events; return how many events were
-- unplaced.
CREATE FUNCTION hum.make_event_months(ahead integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    unplaced bigint := (SELECT count(*) FROM events_unplaced);
    this bigint := hum.month_of(clock_timestamp());
BEGIN
    PERFORM hum.make_event_month(m) FROM generate_series(this, this + ahead) AS m;
    IF unplaced > 0 THEN
        PERFORM hum.make_event_month(m) FROM (SELECT DISTINCT id >> 48 FROM events_unplaced) AS left_over (m);
    END IF;
    RETURN unplaced;
END
$$;

-- Drop a month. The caller holds the lock on `events` and has checked that no reader needs the month.
CREATE FUNCTION hum.drop_event_month(month bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM event_months m
                    WHERE m.month = drop_event_month.month AND m.closed_xid IS NOT NULL AND m.dropped_at IS NULL) THEN
        RAISE 'there is no such month, or it is not over';
    END IF;
    DELETE FROM events_set_aside WHERE event_id >= hum.month_id(month) AND event_id < hum.month_id(month + 1);
    EXECUTE format('DROP TABLE public.%I', hum.month_table(month));
    UPDATE event_months m SET dropped_at = now() WHERE m.month = drop_event_month.month;
END
$$;

-- Return when the organization's oldest event that a reader has not read was appended; null if it has read all.
CREATE FUNCTION hum.unread_since(of text) RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    at event_cursors := (SELECT c FROM event_cursors c WHERE c.reader = of);
    least bigint := hum.unread_id(at.xid);
BEGIN
    RETURN (SELECT min(e.created_at) FROM events e
             WHERE e.org_id = (SELECT hum.org_id()) AND e.data IS NOT NULL AND (e.xid, e.id) > (at.xid, at.id) AND e.id >= least);
END
$$;

REVOKE EXECUTE ON FUNCTION hum.make_event_month(bigint) FROM public;
REVOKE EXECUTE ON FUNCTION hum.unread_since(text) FROM public;
GRANT EXECUTE ON FUNCTION hum.unread_since(text) TO hum_app;
REVOKE EXECUTE ON FUNCTION hum.drop_event_month(bigint), hum.make_event_months(integer) FROM public;
GRANT EXECUTE ON FUNCTION hum.drop_event_month(bigint), hum.make_event_months(integer) TO hum_system;
SELECT hum.make_event_months(2);
