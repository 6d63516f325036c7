-- Organizations, the people in them, API keys, sign-in, idempotency keys and the audit log.
--
-- Every tenant table begins with org_id, has row level security ENABLEd and FORCEd, one policy for the application
-- (the rows of its organization; none without one) and one for the system (ingress, jobs, senders). CALL
-- hum.tenant_table('name') does all of this.

CREATE SCHEMA hum;

GRANT USAGE ON SCHEMA hum TO hum_app, hum_system;

-- Return the organization of this transaction; null, which equals nothing, if there is none.
CREATE FUNCTION hum.org_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('hum.org_id', true), '')::uuid
$$;

CREATE PROCEDURE hum.tenant_table(name text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format(
        'CREATE POLICY tenant ON %I TO hum_app USING (org_id = (SELECT hum.org_id())) WITH CHECK (org_id = (SELECT hum.org_id()))',
        name);
    EXECUTE format('CREATE POLICY system ON %I TO hum_system USING (true) WITH CHECK (true)', name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO hum_app, hum_system', name);
END
$$;

-- Return the person of this transaction; null for a key that was created by an operator.
CREATE FUNCTION hum.user_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('hum.user_id', true), '')::uuid
$$;

-- Return the verified address of this transaction's session in lower case; null for keys.
CREATE FUNCTION hum.verified_address() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('hum.verified_address', true), '')
$$;

-- People belong to several organizations, so this is no tenant table. The application sees the members of its
-- organization.
CREATE TABLE users (
    id uuid PRIMARY KEY,
    email text NOT NULL,
    name text,
    created_at timestamptz NOT NULL DEFAULT now(),
    site_admin boolean NOT NULL DEFAULT false,
    signed_in_at timestamptz
);
CREATE UNIQUE INDEX users_email ON users (lower(email COLLATE "C"));
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY system ON users TO hum_system USING (true) WITH CHECK (true);
CREATE POLICY door ON users FOR SELECT TO hum_owner USING (true);
GRANT SELECT ON users TO hum_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON users TO hum_system;

CREATE TABLE organizations (
    org_id uuid PRIMARY KEY,
    name text NOT NULL,
    time_zone text NOT NULL DEFAULT 'UTC',
    business_hours_json text,
    business_identity_json text,
    quiet_hours_enabled boolean NOT NULL DEFAULT true,
    recipient_hours_enabled boolean NOT NULL DEFAULT false,
    voice_quiet_hours_enabled boolean NOT NULL DEFAULT false,
    keyword_replies text NOT NULL DEFAULT 'carrier' CHECK (keyword_replies IN ('carrier', 'hum')),
    retention_days integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    plan text NOT NULL DEFAULT 'free',
    admin_notes text,
    -- The person who created it, for the limit per person; null if an operator created it.
    founded_by uuid REFERENCES users ON DELETE SET NULL,
    -- HUM's replies to STOP, START and HELP, in the organization's words.
    keyword_texts_json text,
    notify_transcripts boolean NOT NULL DEFAULT false
);
CREATE INDEX organizations_founded_by ON organizations (founded_by) WHERE founded_by IS NOT NULL;
CALL hum.tenant_table('organizations');
CREATE POLICY founding ON organizations FOR INSERT TO hum_owner WITH CHECK (true);
-- For hum.is_only_organization.
CREATE POLICY counting ON organizations FOR SELECT TO hum_owner
    USING (current_setting('hum.counting', true) = 'on');
CREATE POLICY founder ON organizations FOR SELECT TO hum_owner USING (founded_by = (SELECT hum.user_id()));

CREATE TABLE memberships (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id);
CALL hum.tenant_table('memberships');
-- For SECURITY DEFINER functions: they run as the owner, whom FORCE ROW LEVEL SECURITY would hide all rows from.
CREATE POLICY door ON memberships TO hum_owner
    USING (user_id = (SELECT hum.user_id()) OR org_id = (SELECT hum.org_id())) WITH CHECK (true);

-- An issuer's stable subject for a person: an address may change hands, a subject does not.
CREATE TABLE sign_in_subjects (
    issuer text NOT NULL,
    subject text NOT NULL,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    linked_at timestamptz DEFAULT now(),
    used_at timestamptz,
    -- The address that the issuer verified at the last sign-in.
    email text,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX sign_in_subjects_user ON sign_in_subjects (user_id);
GRANT SELECT, INSERT, UPDATE, DELETE ON sign_in_subjects TO hum_system;

-- A pending sign-in: consumed once, by the browser that began it, before it expires.
CREATE TABLE sign_ins (
    state_hash bytea PRIMARY KEY,
    nonce text NOT NULL,
    code_verifier text NOT NULL,
    return_to text NOT NULL,
    expires_at timestamptz NOT NULL,
    -- When a person links another sign-in: the account it is linked to. Null for an ordinary sign-in.
    links_user_id uuid REFERENCES users ON DELETE CASCADE
);
CREATE INDEX sign_ins_age ON sign_ins (expires_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON sign_ins TO hum_system;

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    token_hash bytea NOT NULL UNIQUE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    -- The organization that the session works in; null before onboarding.
    org_id uuid REFERENCES organizations ON DELETE SET NULL,
    idle interval NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    -- The address that the issuer verified at this sign-in; invitations to it are shown to the person.
    verified_email text
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_age ON sessions (expires_at);
ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON sessions TO hum_app
    USING (user_id = (SELECT hum.user_id())) WITH CHECK (user_id = (SELECT hum.user_id()));
CREATE POLICY system ON sessions TO hum_system USING (true) WITH CHECK (true);
CREATE POLICY door ON sessions TO hum_owner USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON sessions TO hum_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO hum_system;

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    hash bytea NOT NULL UNIQUE,
    prefix text NOT NULL,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    scopes text[] NOT NULL,
    made_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT api_keys_made_by_fkey FOREIGN KEY (made_by) REFERENCES users ON DELETE CASCADE
);
CREATE INDEX api_keys_page ON api_keys (org_id, id DESC);
CALL hum.tenant_table('api_keys');
-- For hum.begin_as, which runs as the owner, whom FORCE ROW LEVEL SECURITY would hide all rows from.
CREATE POLICY door ON api_keys TO hum_owner USING (true) WITH CHECK (true);

CREATE TABLE invites (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    email text NOT NULL,
    role text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    invited_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    made_by uuid REFERENCES users ON DELETE CASCADE
);
CREATE UNIQUE INDEX invites_address ON invites (org_id, lower(email COLLATE "C"));
CREATE INDEX invites_accept ON invites (lower(email COLLATE "C"));
CREATE INDEX invites_made_by ON invites (made_by);
CALL hum.tenant_table('invites');
CREATE POLICY door ON invites TO hum_owner
    USING (lower(email COLLATE "C") = (SELECT hum.verified_address())) WITH CHECK (false);

-- Requests for an organization, pending a site admin's decision; the id becomes the organization's.
CREATE TABLE organization_requests (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX organization_requests_user ON organization_requests (user_id);
ALTER TABLE organization_requests ENABLE ROW LEVEL SECURITY;
ALTER TABLE organization_requests FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON organization_requests TO hum_app
    USING (user_id = (SELECT hum.user_id())) WITH CHECK (user_id = (SELECT hum.user_id()));
CREATE POLICY system ON organization_requests TO hum_system USING (true) WITH CHECK (true);
CREATE POLICY door ON organization_requests TO hum_owner USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON organization_requests TO hum_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON organization_requests TO hum_system;

CREATE TABLE idempotency_keys (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    key text NOT NULL,
    method text NOT NULL,
    body_hash bytea NOT NULL,
    answer bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    claim uuid,
    -- The request in progress, by the id in the logs.
    claimed_by text,
    leased_until timestamptz,
    -- Who made the request, `key:...` or `user:...`, as in the audit log. Answers that hold a secret are not stored.
    actor text NOT NULL,
    PRIMARY KEY (org_id, key),
    CONSTRAINT idempotency_keys_answered_or_claimed
        CHECK (num_nonnulls(claim, claimed_by, leased_until) = CASE WHEN answer IS NULL THEN 3 ELSE 0 END)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
CALL hum.tenant_table('idempotency_keys');

-- Answers to a person's own requests, which have no organization yet (docs/contract.md, Idempotency-Key).
CREATE TABLE personal_idempotency_keys (
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    key text NOT NULL,
    method text NOT NULL,
    body_hash bytea NOT NULL,
    answer bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX personal_idempotency_keys_age ON personal_idempotency_keys (created_at);
ALTER TABLE personal_idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE personal_idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON personal_idempotency_keys TO hum_app
    USING (user_id = (SELECT hum.user_id())) WITH CHECK (user_id = (SELECT hum.user_id()));
CREATE POLICY system ON personal_idempotency_keys TO hum_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON personal_idempotency_keys TO hum_app, hum_system;

-- Who changed what, written in the transaction of the change. Rows are never updated, and deleted only with their
-- organization.
CREATE TABLE audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    org_id uuid NOT NULL REFERENCES organizations,
    at timestamptz NOT NULL DEFAULT now(),
    -- `user:<uuid>`, `key:<uuid>` or `operator`, and the actor's name at that time.
    actor text NOT NULL,
    actor_name text NOT NULL,
    action text NOT NULL,
    -- The subject, as clients write it; empty if the action says it all.
    subject text NOT NULL,
    -- The names of the fields in the request. Values are not copied here.
    fields text[] NOT NULL,
    request_id text NOT NULL,
    -- The five-minute slot of a read, null for other actions: the unique index makes repeated reads one entry.
    read_slot bigint
);
CREATE INDEX audit_log_page ON audit_log (org_id, id DESC);
CREATE INDEX audit_log_horizon ON audit_log (xid, id);
CREATE UNIQUE INDEX audit_log_reads ON audit_log (org_id, subject, action, actor, read_slot) WHERE read_slot IS NOT NULL;
CALL hum.tenant_table('audit_log');
CREATE POLICY door ON audit_log FOR INSERT TO hum_owner WITH CHECK (true);
REVOKE UPDATE, DELETE ON audit_log FROM hum_app, hum_system;

-- The hash chain: one sealer links committed entries in commit order. A fork would need the same predecessor twice,
-- which the unique key refuses.
CREATE TABLE audit_seals (
    org_id uuid NOT NULL REFERENCES organizations,
    seq bigint NOT NULL,
    entry_id bigint NOT NULL UNIQUE REFERENCES audit_log,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (org_id, seq),
    UNIQUE (org_id, previous_hash)
);
CALL hum.tenant_table('audit_seals');
REVOKE INSERT, UPDATE, DELETE ON audit_seals FROM hum_app;
REVOKE UPDATE, DELETE ON audit_seals FROM hum_system;

-- Organizations that an operator has deleted or is deleting, with the deletion's progress. No tenant table: the
-- organization's rows, its audit log included, are gone.

CREATE TABLE deleted_organizations (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    -- The operator, as the audit log names them.
    actor text NOT NULL,
    -- The organization's numbers. The carrier account still holds them.
    numbers text[] NOT NULL,
    rows bigint NOT NULL DEFAULT 0,
    begun_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
GRANT SELECT, INSERT, UPDATE ON deleted_organizations TO hum_system;

CREATE POLICY tenant ON users FOR SELECT TO hum_app
    USING (id IN (SELECT user_id FROM memberships) OR id = (SELECT hum.user_id()));
CREATE POLICY door ON organizations FOR SELECT TO hum_owner
    USING (org_id IN (SELECT org_id FROM memberships WHERE user_id = (SELECT hum.user_id())));
CREATE POLICY inviting ON organizations FOR SELECT TO hum_owner
    USING (org_id IN (SELECT i.org_id FROM invites i WHERE lower(i.email COLLATE "C") = (SELECT hum.verified_address())));
-- The audit log is deleted with its organization and never otherwise: even the system role cannot delete an entry.
CREATE POLICY with_organization ON audit_log TO hum_owner
    USING (org_id IN (SELECT d.id FROM deleted_organizations d WHERE d.ended_at IS NULL));
CREATE POLICY with_organization ON audit_seals TO hum_owner
    USING (org_id IN (SELECT d.id FROM deleted_organizations d WHERE d.ended_at IS NULL));

-- Return the person's organizations: the only query of a member across tenants.
CREATE FUNCTION hum.my_organizations()
RETURNS TABLE (id uuid, name text, time_zone text, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT o.org_id, o.name, o.time_zone, m.role
      FROM memberships m JOIN organizations o USING (org_id)
     WHERE m.user_id = (SELECT hum.user_id())
     ORDER BY lower(o.name), o.org_id
$$;

-- Switch this session to another of the person's organizations; return false if the person is no member of it.
CREATE FUNCTION hum.switch_organization(session uuid, org uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE sessions SET org_id = org
     WHERE id = session AND user_id = hum.user_id()
       AND EXISTS (SELECT FROM memberships m WHERE m.org_id = org AND m.user_id = hum.user_id());
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM set_config('hum.org_id', org::text, true);
    RETURN true;
END
$$;

-- Return whether the deployment has a single organization: the carrier account's numbers are then its own.
CREATE FUNCTION hum.is_only_organization() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    others bigint;
BEGIN
    PERFORM set_config('hum.counting', 'on', true);
    SELECT count(*) INTO others FROM organizations WHERE org_id <> hum.org_id();
    PERFORM set_config('hum.counting', '', true);
    RETURN others = 0 AND hum.org_id() IS NOT NULL;
END
$$;

CREATE FUNCTION hum.my_invitations()
RETURNS TABLE (id uuid, org_id uuid, org_name text, role text, invited_by text, created_at timestamptz, expires_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT i.id, i.org_id, o.name, i.role, i.invited_by, i.created_at, i.expires_at
      FROM invites i JOIN organizations o USING (org_id)
     WHERE lower(i.email COLLATE "C") = (SELECT hum.verified_address()) AND i.expires_at > now()
     ORDER BY i.created_at DESC, i.id DESC
     LIMIT 100
$$;

-- Join the inviting organization and switch session and transaction to it. Return null if there is no such invitation
-- to this address.
CREATE FUNCTION hum.accept_invitation(session uuid, invitation uuid) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    accepted invites;
BEGIN
    DELETE FROM invites
     WHERE id = invitation AND lower(email COLLATE "C") = hum.verified_address() AND expires_at > now()
    RETURNING * INTO accepted;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO memberships (org_id, user_id, role) VALUES (accepted.org_id, hum.user_id(), accepted.role)
    ON CONFLICT DO NOTHING;
    UPDATE sessions SET org_id = accepted.org_id WHERE id = session AND user_id = hum.user_id();
    PERFORM set_config('hum.org_id', accepted.org_id::text, true);
    RETURN accepted.org_id;
END
$$;

-- Delete the invitation and switch the transaction to its organization, for the entry in its audit log.
CREATE FUNCTION hum.decline_invitation(invitation uuid) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    declined invites;
BEGIN
    DELETE FROM invites WHERE id = invitation AND lower(email COLLATE "C") = hum.verified_address()
    RETURNING * INTO declined;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('hum.org_id', declined.org_id::text, true);
    RETURN declined.org_id;
END
$$;

-- Return the person with this address who has signed in, for a site admin.
CREATE FUNCTION hum.person_for_site_admin(address text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT u.id FROM users u
     WHERE lower(u.email COLLATE "C") = lower(address COLLATE "C") AND u.signed_in_at IS NOT NULL
       AND EXISTS (SELECT FROM users me WHERE me.id = hum.user_id() AND me.site_admin)
$$;

-- Authenticate an API key or a session by the SHA-256 of its secret, and set the transaction's organization and
-- person. Return no row if the credential is unknown, expired or revoked. A key never has more rights than its
-- creator's present role. This is the only query before the tenant is known, hence the only one across tenants.
CREATE FUNCTION hum.begin_as(credential bytea)
RETURNS TABLE (org_id uuid, role text, scopes text[], key_id uuid, session_id uuid, user_id uuid, name text, site_admin boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
DECLARE
    this api_keys;
    session sessions;
    person users;
    member memberships;
BEGIN
    SELECT * INTO this FROM api_keys
     WHERE hash = credential AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now());
    IF FOUND THEN
        IF this.made_by IS NOT NULL THEN
            PERFORM set_config('hum.user_id', this.made_by::text, true);
            SELECT * INTO person FROM users WHERE id = this.made_by;
            SELECT * INTO member FROM memberships WHERE org_id = this.org_id AND user_id = this.made_by;
            IF NOT FOUND THEN  -- the creator is no longer a member
                PERFORM set_config('hum.user_id', '', true);
                RETURN;
            END IF;
        END IF;
        -- "Last used" is true to a minute; no request waits for another's lock to say so.
        UPDATE api_keys SET last_used_at = now()
         WHERE id = (SELECT id FROM api_keys
                      WHERE id = this.id AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
                        FOR UPDATE SKIP LOCKED);
        PERFORM set_config('hum.org_id', this.org_id::text, true);
        RETURN QUERY SELECT this.org_id,
                            CASE WHEN 'viewer' IN (this.role, coalesce(member.role, this.role)) THEN 'viewer'
                                 WHEN 'operator' IN (this.role, coalesce(member.role, this.role)) THEN 'operator'
                                 ELSE 'admin' END,
                            this.scopes, this.id, NULL::uuid, this.made_by, this.name,
                            coalesce(person.site_admin, false) AND 'site:admin' = ANY (this.scopes);
        RETURN;
    END IF;
    SELECT * INTO session FROM sessions
     WHERE token_hash = credential AND expires_at > now() AND last_seen_at > now() - idle;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE sessions SET last_seen_at = now()
     WHERE id = (SELECT id FROM sessions
                  WHERE id = session.id AND last_seen_at < now() - least(interval '1 minute', idle / 10)
                    FOR UPDATE SKIP LOCKED);
    PERFORM set_config('hum.user_id', session.user_id::text, true),
            set_config('hum.verified_address', coalesce(lower(session.verified_email COLLATE "C"), ''), true);
    SELECT * INTO person FROM users WHERE id = session.user_id;
    SELECT * INTO member FROM memberships WHERE org_id = session.org_id AND user_id = session.user_id;
    PERFORM set_config('hum.org_id', coalesce(member.org_id::text, ''), true);
    RETURN QUERY SELECT member.org_id, member.role, NULL::text[], NULL::uuid, session.id, session.user_id,
                        person.email, person.site_admin;
END
$$;

-- Return how many organizations the person has created or requested. The lock serializes concurrent requests of one
-- person.
CREATE FUNCTION hum.founded_organizations() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('founding ' || hum.user_id()::text, 0));
    RETURN (SELECT count(*) FROM organizations o WHERE o.founded_by = hum.user_id())
         + (SELECT count(*) FROM organization_requests r WHERE r.user_id = hum.user_id());
END
$$;

-- Create an organization with its first admin and switch the transaction to it.
CREATE FUNCTION hum.found_organization(org uuid, org_name text, first_admin uuid, org_plan text, notes text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF first_admin IS DISTINCT FROM hum.user_id()
       AND NOT EXISTS (SELECT FROM users u WHERE u.id = hum.user_id() AND u.site_admin) THEN
        RAISE EXCEPTION 'only a site admin founds organizations for others' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO organizations (org_id, name, plan, admin_notes, founded_by)
    VALUES (org, org_name, org_plan, notes, CASE WHEN first_admin = hum.user_id() THEN first_admin END);
    INSERT INTO memberships (org_id, user_id, role) VALUES (org, first_admin, 'admin');
    PERFORM set_config('hum.org_id', org::text, true);
END
$$;

-- List the requests, and decide one, for site admins. Approving creates the organization and switches the transaction
-- to it.
CREATE FUNCTION hum.organization_requests(after uuid, most integer)
RETURNS TABLE (id uuid, name text, user_id uuid, email text, user_name text, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT r.id, r.name, r.user_id, u.email, u.name, r.created_at
      FROM organization_requests r JOIN users u ON u.id = r.user_id
     WHERE r.id > coalesce(after, '00000000-0000-0000-0000-000000000000')
       AND EXISTS (SELECT FROM users me WHERE me.id = hum.user_id() AND me.site_admin)
     ORDER BY r.id
     LIMIT most
$$;

CREATE FUNCTION hum.decide_organization(request uuid, approved boolean) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    waiting organization_requests;
BEGIN
    DELETE FROM organization_requests r
     WHERE r.id = request AND EXISTS (SELECT FROM users me WHERE me.id = hum.user_id() AND me.site_admin)
    RETURNING * INTO waiting;
    IF FOUND AND approved THEN
        INSERT INTO organizations (org_id, name, founded_by) VALUES (waiting.id, waiting.name, waiting.user_id);
        INSERT INTO memberships (org_id, user_id, role) VALUES (waiting.id, waiting.user_id, 'admin');
        PERFORM set_config('hum.org_id', waiting.id::text, true);
    END IF;
    RETURN waiting.name;
END
$$;

CREATE FUNCTION hum.my_sign_ins()
RETURNS TABLE (id uuid, issuer text, email text, linked_at timestamptz, used_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT s.id, s.issuer, s.email, s.linked_at, s.used_at
      FROM sign_in_subjects s
     WHERE s.user_id = (SELECT hum.user_id())
     ORDER BY s.linked_at NULLS FIRST, s.id
$$;

-- Remove one of the person's sign-ins and end their other sessions. Return 'last' if it is the only one, null if it
-- is not theirs.
CREATE FUNCTION hum.remove_my_sign_in(sign_in uuid, session uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    -- Lock all of them: a concurrent removal waits and then sees what is left.
    PERFORM FROM sign_in_subjects s WHERE s.user_id = hum.user_id() ORDER BY s.issuer, s.subject FOR UPDATE;
    IF NOT EXISTS (SELECT FROM sign_in_subjects s WHERE s.user_id = hum.user_id() AND s.id = sign_in) THEN
        RETURN NULL;
    END IF;
    IF NOT EXISTS (SELECT FROM sign_in_subjects s WHERE s.user_id = hum.user_id() AND s.id <> sign_in) THEN
        RETURN 'last';
    END IF;
    DELETE FROM sign_in_subjects s WHERE s.user_id = hum.user_id() AND s.id = sign_in;
    DELETE FROM sessions o WHERE o.user_id = hum.user_id() AND o.id <> session;
    RETURN 'removed';
END
$$;

-- Append an entry to the audit log of each of the person's organizations.
CREATE FUNCTION hum.note_in_my_organizations(actor text, actor_name text, action text, subject text, request_id text)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    INSERT INTO audit_log (org_id, actor, actor_name, action, subject, fields, request_id)
    SELECT m.org_id, actor, actor_name, action, subject, '{}', request_id
      FROM memberships m
     WHERE m.user_id = (SELECT hum.user_id())
$$;

-- Delete at most `most` rows of one organization from a tenant table; return how many. The organization's filter
-- stands beside ctid because a ctid is unique only within a partition.
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

CREATE FUNCTION hum.delete_audit_of(org uuid, audit_table regclass, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF audit_table NOT IN ('audit_log'::regclass, 'audit_seals'::regclass) THEN
        RAISE insufficient_privilege USING MESSAGE = format('%s is no table of the audit log', audit_table);
    END IF;
    RETURN hum.delete_rows_of(org, audit_table, most);
END
$$;

REVOKE EXECUTE ON FUNCTION
    hum.accept_invitation(uuid,uuid), hum.begin_as(bytea), hum.decide_organization(uuid,boolean),
    hum.decline_invitation(uuid), hum.found_organization(uuid,text,uuid,text,text), hum.founded_organizations(),
    hum.is_only_organization(), hum.my_invitations(), hum.my_organizations(), hum.my_sign_ins(),
    hum.note_in_my_organizations(text,text,text,text,text), hum.organization_requests(uuid,integer),
    hum.person_for_site_admin(text), hum.remove_my_sign_in(uuid,uuid), hum.switch_organization(uuid,uuid) FROM public;
GRANT EXECUTE ON FUNCTION
    hum.accept_invitation(uuid,uuid), hum.begin_as(bytea), hum.decide_organization(uuid,boolean),
    hum.decline_invitation(uuid), hum.found_organization(uuid,text,uuid,text,text), hum.founded_organizations(),
    hum.is_only_organization(), hum.my_invitations(), hum.my_organizations(), hum.my_sign_ins(),
    hum.note_in_my_organizations(text,text,text,text,text), hum.organization_requests(uuid,integer),
    hum.person_for_site_admin(text), hum.remove_my_sign_in(uuid,uuid), hum.switch_organization(uuid,uuid) TO hum_app;
REVOKE EXECUTE ON FUNCTION
    hum.delete_audit_of(uuid,regclass,integer), hum.delete_rows_of(uuid,regclass,integer) FROM public;
GRANT EXECUTE ON FUNCTION
    hum.delete_audit_of(uuid,regclass,integer), hum.delete_rows_of(uuid,regclass,integer) TO hum_system;
REVOKE EXECUTE ON PROCEDURE hum.tenant_table(text) FROM public;
