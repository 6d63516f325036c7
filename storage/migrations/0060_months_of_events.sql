-- Events by months: one partition of `events` for each month, so that a month is dropped and not deleted row by row.

-- A month of an event: months since the year 0, in UTC.
CREATE FUNCTION hum.month_of(at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT date_part('year', at AT TIME ZONE 'UTC')::bigint * 12 + date_part('month', at AT TIME ZONE 'UTC')::bigint - 1
$$;
CREATE FUNCTION hum.month_begins(month bigint) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT make_timestamptz((month / 12)::integer, (month % 12)::integer + 1, 1, 0, 0, 0, 'UTC')
$$;
-- The least id of a month: its number is in the upper 16 bits, and a sequence that all months share in the lower 48.  So an id is one of a
-- month by its value, ids are unique over all months, and grow within a transaction.
CREATE FUNCTION hum.month_id(month bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT month << 48
$$;
CREATE SEQUENCE events_places;
GRANT USAGE ON SEQUENCE events_places TO hum_app, hum_system;

-- What there is becomes one partition as it stands: all of its ids are below those of months.  An operator with very many events may have
-- validated this constraint before, so that it is not done here under a lock (docs/operations.md).
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint
                    WHERE conrelid = 'events'::regclass AND conname = 'events_before_months' AND convalidated) THEN
        ALTER TABLE events DROP CONSTRAINT IF EXISTS events_before_months;
        ALTER TABLE events ADD CONSTRAINT events_before_months CHECK (id < 281474976710656);
    END IF;
END
$$;
ALTER TABLE events RENAME TO events_earlier;
ALTER TABLE events_earlier ALTER COLUMN id DROP IDENTITY;
ALTER INDEX events_pkey RENAME TO events_earlier_pkey;
ALTER INDEX events_public RENAME TO events_earlier_public;
ALTER INDEX events_horizon RENAME TO events_earlier_horizon;
ALTER INDEX events_org RENAME TO events_earlier_org;
ALTER INDEX events_subject RENAME TO events_earlier_subject;
ALTER INDEX events_age RENAME TO events_earlier_age;
DROP TRIGGER forget_deliveries ON events_earlier;
DROP TRIGGER forget_event_runs ON events_earlier;
DROP POLICY tenant ON events_earlier;
DROP POLICY system ON events_earlier;
DROP POLICY door ON events_earlier;
-- A partition is reached through `events` alone, whose policies hold there.  It has none of its own, and nobody has a right to it.
REVOKE ALL ON events_earlier FROM hum_app, hum_system;
ALTER TABLE events_earlier NO FORCE ROW LEVEL SECURITY;

CREATE TABLE events (
    id bigint NOT NULL DEFAULT hum.month_id(hum.month_of(clock_timestamp())) + nextval('events_places') PRIMARY KEY,
    -- Readers with cursors read below pg_snapshot_xmin: an event that commits late has a late transaction, not a late id.
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    type text NOT NULL,
    subject_id uuid NOT NULL,
    -- Null once the payload was deleted.
    data json,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Each partition has a unique index of it; `event_ids` has those that may be brought again.
    public_id uuid NOT NULL,
    version integer NOT NULL DEFAULT 1
) PARTITION BY RANGE (id);
CREATE INDEX events_horizon ON events (xid, id);
CREATE INDEX events_org ON events (org_id, xid, id) WHERE data IS NOT NULL;
CREATE INDEX events_subject ON events (org_id, subject_id) WHERE data IS NOT NULL;
CREATE INDEX events_age ON events (org_id, created_at) WHERE data IS NOT NULL;
CALL hum.tenant_table('events');
REVOKE UPDATE, DELETE ON events FROM hum_app;
CREATE POLICY door ON events TO hum_owner
    USING (org_id = (SELECT hum.org_id())) WITH CHECK (org_id = (SELECT hum.org_id()));
CREATE TRIGGER forget_deliveries AFTER UPDATE ON events
    REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION hum.forget_deliveries();
CREATE TRIGGER forget_event_runs AFTER UPDATE OF data ON events
    FOR EACH ROW WHEN (OLD.data IS NOT NULL AND NEW.data IS NULL) EXECUTE FUNCTION hum.forget_event_runs();

-- Whoever empties events, or drops their month, deletes what was set aside of them.
ALTER TABLE events_set_aside DROP CONSTRAINT events_set_aside_event_id_fkey;
ALTER TABLE events ATTACH PARTITION events_earlier FOR VALUES FROM (MINVALUE) TO (281474976710656);
-- An event of a month that nobody made is no error; it is moved when the month is made.
CREATE TABLE events_unplaced PARTITION OF events DEFAULT;
ALTER TABLE events_unplaced ENABLE ROW LEVEL SECURITY;
CREATE UNIQUE INDEX events_unplaced_public ON events_unplaced (public_id);

-- The partitions with events of months; the first is what there was before, as month 0.
CREATE TABLE event_months (
    month bigint PRIMARY KEY,
    -- Its events were appended before this.
    ends_at timestamptz NOT NULL,
    -- Set after its end: every event in it has a lower transaction, so who has read up to this one need not look into it.
    closed_xid xid8,
    -- How far it is archived, in how many files, and whether that is all of it.
    archived_id bigint,
    archive_files integer NOT NULL DEFAULT 0,
    archived_at timestamptz,
    dropped_at timestamptz
);
GRANT SELECT ON event_months TO hum_app;
GRANT SELECT, UPDATE ON event_months TO hum_system;
-- The lock on `events` is held: whoever wrote into it before has ended.
INSERT INTO event_months (month, ends_at, closed_xid) VALUES (0, now(), pg_snapshot_xmax(pg_current_snapshot()));

-- Below this id nothing is left for a reader that has read all transactions before this one.
CREATE FUNCTION hum.unread_id(after xid8) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce((SELECT hum.month_id(m.month + 1) FROM public.event_months m WHERE m.closed_xid <= after
                      ORDER BY m.month DESC LIMIT 1), 0);
END
$$;

CREATE FUNCTION hum.month_table(month bigint) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE month WHEN 0 THEN 'events_earlier' ELSE format('events_%s_%s', month / 12, lpad((month % 12 + 1)::text, 2, '0')) END
$$;

-- Months are made and dropped by the system; both need the owner's rights.
CREATE FUNCTION hum.make_event_month(month bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_variable
DECLARE
    name text := hum.month_table(month);
BEGIN
    IF EXISTS (SELECT FROM event_months m WHERE m.month = make_event_month.month) THEN
        RETURN false;
    END IF;
    -- Of two that make it, the second waits here, and then finds it.
    LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM event_months m WHERE m.month = make_event_month.month) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE public.%I (LIKE events INCLUDING DEFAULTS)', name);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (public_id)', name || '_public', name);
    LOCK TABLE events_unplaced IN ACCESS EXCLUSIVE MODE;
    -- They come after the partition is attached: its owner can't check rows that are there then, for policies bind it too.
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
-- This month, those ahead, and those of events that have no place; returns how many of those events there were.
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
-- The caller has the lock on `events`, and has seen that nobody needs the month.
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
REVOKE EXECUTE ON FUNCTION hum.make_event_month(bigint), hum.make_event_months(integer), hum.drop_event_month(bigint) FROM public;
GRANT EXECUTE ON FUNCTION hum.make_event_months(integer), hum.drop_event_month(bigint) TO hum_system;
SELECT hum.make_event_months(2);

-- What may be brought again, each once.
CREATE TABLE event_ids (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    public_id uuid NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, public_id)
);
CREATE INDEX event_ids_age ON event_ids (noted_at);
CALL hum.tenant_table('event_ids');
REVOKE UPDATE, DELETE ON event_ids FROM hum_app;

CREATE OR REPLACE FUNCTION hum.unread_since(of text) RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    at event_cursors := (SELECT c FROM event_cursors c WHERE c.reader = of);
    least bigint := hum.unread_id(at.xid);
BEGIN
    RETURN (SELECT min(e.created_at) FROM events e
             WHERE e.org_id = (SELECT hum.org_id()) AND e.data IS NOT NULL AND (e.xid, e.id) > (at.xid, at.id) AND e.id >= least);
END
$$;
