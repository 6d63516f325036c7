-- The organization's own book. Row locks of resources, taken in the order of their ids, decide who gets a time; the exclusion
-- constraint of booking_claims proves it. btree_gist is a trusted extension, which the database's owner may create.
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- A person, a room or a piece of equipment.
CREATE TABLE booking_resources (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('person', 'room', 'equipment')),
    name text NOT NULL,
    -- How many appointments it has at once: its lanes are 0 to capacity - 1.
    capacity smallint NOT NULL CHECK (capacity BETWEEN 1 AND 50),
    -- Null: the organization's hours, and its zone.
    hours_json text,
    time_zone text,
    -- What is inactive keeps its appointments, and gets no more.
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id)
);
CALL hum.tenant_table('booking_resources');

CREATE TABLE booking_services (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    name text NOT NULL,
    duration_minutes integer NOT NULL CHECK (duration_minutes BETWEEN 1 AND 1440),
    before_minutes integer NOT NULL CHECK (before_minutes BETWEEN 0 AND 480),
    after_minutes integer NOT NULL CHECK (after_minutes BETWEEN 0 AND 480),
    step_minutes integer NOT NULL CHECK (step_minutes BETWEEN 5 AND 1440),
    lead_minutes integer NOT NULL CHECK (lead_minutes BETWEEN 0 AND 129600),
    horizon_days integer NOT NULL CHECK (horizon_days BETWEEN 1 AND 400),
    -- How long before the start clients may still cancel.
    cancel_minutes integer NOT NULL CHECK (cancel_minutes BETWEEN 0 AND 129600),
    needs_approval boolean NOT NULL,
    is_health_related boolean NOT NULL,
    -- The zone of its starts. Null: the organization's.
    time_zone text,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id)
);
CALL hum.tenant_table('booking_services');

-- An appointment takes one resource of each group of its service. A resource is in one group of a service at most.
CREATE TABLE booking_requirements (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    service_id uuid NOT NULL,
    resource_id uuid NOT NULL,
    group_number smallint NOT NULL,
    -- In which order a group's resources are tried.
    position smallint NOT NULL,
    PRIMARY KEY (service_id, resource_id),
    FOREIGN KEY (org_id, service_id) REFERENCES booking_services (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, resource_id) REFERENCES booking_resources (org_id, id) ON DELETE CASCADE
);
CREATE INDEX booking_requirements_service ON booking_requirements (org_id, service_id);
CREATE INDEX booking_requirements_resource ON booking_requirements (org_id, resource_id);
CALL hum.tenant_table('booking_requirements');

-- Closures, holidays and absences. It may lie over appointments, which become conflicts.
CREATE TABLE booking_time_off (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    -- Null: of all resources.
    resource_id uuid,
    during tstzrange NOT NULL
        CHECK (NOT isempty(during) AND lower_inc(during) AND NOT upper_inc(during) AND NOT lower_inf(during) AND NOT upper_inf(during)),
    reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (org_id, resource_id) REFERENCES booking_resources (org_id, id) ON DELETE CASCADE
);
CREATE INDEX booking_time_off_resource ON booking_time_off (org_id, resource_id);
CREATE INDEX booking_time_off_during ON booking_time_off USING gist (org_id, during);
CALL hum.tenant_table('booking_time_off');

-- A hold is an appointment that is not confirmed yet: it ends by itself with its lease, by the database's clock.
CREATE TABLE appointments (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    service_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN (
        'held', 'pending', 'booked', 'arrived', 'no_show', 'canceled', 'refused', 'expired', 'released')),
    -- 0 while it is held; incremented by each change of state or time from then on.
    version integer NOT NULL DEFAULT 0,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    -- The zone in which it was agreed.
    time_zone text NOT NULL,
    contact_id uuid REFERENCES contacts ON DELETE SET NULL,
    contact_e164 text,
    -- As it was spoken or written.
    name text,
    note text,
    origin text NOT NULL CHECK (origin IN ('call', 'conversation', 'api', 'outside')),
    call_id uuid REFERENCES calls ON DELETE SET NULL,
    conversation_id uuid REFERENCES conversations ON DELETE SET NULL,
    -- What holds it, such as a call: it has one live hold at a time.
    holder text,
    lease_until timestamptz,
    -- Beyond this, a lease is not renewed.
    lease_latest timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    booked_at timestamptz,
    changed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, id),
    CHECK (ends_at > starts_at AND ends_at <= starts_at + interval '1 day'),
    CHECK (state <> 'held' OR (lease_until IS NOT NULL AND lease_latest IS NOT NULL)),
    FOREIGN KEY (org_id, service_id) REFERENCES booking_services (org_id, id)
);
CREATE UNIQUE INDEX appointments_holder ON appointments (org_id, holder) WHERE state = 'held' AND holder IS NOT NULL;
CREATE INDEX appointments_start ON appointments (org_id, starts_at, id) WHERE state NOT IN ('held', 'expired', 'released');
CREATE INDEX appointments_end ON appointments (org_id, ends_at, id);
CREATE INDEX appointments_lease ON appointments (lease_until) WHERE state = 'held';
CREATE INDEX appointments_unbooked ON appointments (changed_at) WHERE state IN ('expired', 'released');
CREATE INDEX appointments_service ON appointments (org_id, service_id);
CREATE INDEX appointments_contact ON appointments (contact_id, starts_at) WHERE contact_id IS NOT NULL;
CREATE INDEX appointments_e164 ON appointments (org_id, contact_e164, starts_at) WHERE contact_e164 IS NOT NULL;
CREATE INDEX appointments_call ON appointments (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX appointments_conversation ON appointments (conversation_id) WHERE conversation_id IS NOT NULL;
CALL hum.tenant_table('appointments');
CALL hum.hidden_table('appointments');

-- The time, with buffers, that an appointment occupies at a resource. Every column is NOT NULL: a null conflicts with
-- nothing. The constraint sees the rows of all organizations, hence the composite keys.
CREATE TABLE booking_claims (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    resource_id uuid NOT NULL,
    lane smallint NOT NULL,
    appointment_id uuid NOT NULL,
    version integer NOT NULL,
    during tstzrange NOT NULL
        CHECK (NOT isempty(during) AND lower_inc(during) AND NOT upper_inc(during) AND NOT lower_inf(during) AND NOT upper_inf(during)),
    PRIMARY KEY (appointment_id, resource_id),
    FOREIGN KEY (org_id, resource_id) REFERENCES booking_resources (org_id, id),
    FOREIGN KEY (org_id, appointment_id) REFERENCES appointments (org_id, id) ON DELETE CASCADE,
    CONSTRAINT booking_claims_once EXCLUDE USING gist (resource_id WITH =, lane WITH =, during WITH &&)
);
CREATE INDEX booking_claims_appointment ON booking_claims (org_id, appointment_id);
CREATE INDEX booking_claims_resource ON booking_claims (org_id, resource_id);
CALL hum.tenant_table('booking_claims');

-- What happened to an appointment.
CREATE TABLE appointment_changes (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    appointment_id uuid NOT NULL,
    version integer NOT NULL,
    state text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    by text,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (appointment_id, version),
    FOREIGN KEY (org_id, appointment_id) REFERENCES appointments (org_id, id) ON DELETE CASCADE
);
CREATE INDEX appointment_changes_appointment ON appointment_changes (org_id, appointment_id);
CALL hum.tenant_table('appointment_changes');
CALL hum.hidden_table('appointment_changes');

-- Why an appointment can't take place as it is. A person resolves it.
CREATE TABLE appointment_conflicts (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    appointment_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('time_off', 'outside')),
    time_off_id uuid REFERENCES booking_time_off ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    resolution text CHECK (resolution IN ('kept', 'moved', 'canceled', 'cleared')),
    resolved_by text,
    resolved_at timestamptz,
    CHECK ((resolution IS NULL) = (resolved_at IS NULL)),
    FOREIGN KEY (org_id, appointment_id) REFERENCES appointments (org_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX appointment_conflicts_open ON appointment_conflicts (appointment_id, time_off_id) WHERE resolved_at IS NULL;
CREATE INDEX appointment_conflicts_list ON appointment_conflicts (org_id, id) WHERE resolved_at IS NULL;
CREATE INDEX appointment_conflicts_appointment ON appointment_conflicts (org_id, appointment_id);
CREATE INDEX appointment_conflicts_time_off ON appointment_conflicts (time_off_id) WHERE time_off_id IS NOT NULL;
CALL hum.tenant_table('appointment_conflicts');
CALL hum.hidden_table('appointment_conflicts');

-- People who wait for a time to become free.
CREATE TABLE booking_waits (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    service_id uuid NOT NULL,
    contact_e164 text NOT NULL,
    name text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    urgent boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (until > since),
    FOREIGN KEY (org_id, service_id) REFERENCES booking_services (org_id, id) ON DELETE CASCADE
);
CREATE INDEX booking_waits_list ON booking_waits (org_id, id);
CREATE INDEX booking_waits_service ON booking_waits (org_id, service_id);
CREATE INDEX booking_waits_e164 ON booking_waits (org_id, contact_e164);
CREATE INDEX booking_waits_until ON booking_waits (until);
CALL hum.tenant_table('booking_waits');
CALL hum.hidden_table('booking_waits');
