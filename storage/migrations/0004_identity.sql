-- Sign-in, sessions, team, onboarding, and the audit log with its chain.

-- The person of this transaction; null for a key that no person made.
CREATE FUNCTION hum.user_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('hum.user_id', true), '')::uuid
$$;

ALTER TABLE organizations ADD COLUMN plan text NOT NULL DEFAULT 'free', ADD COLUMN admin_notes text;

-- People ----------------------------------------------------------------------------------------------------------

ALTER TABLE users ADD COLUMN site_admin boolean NOT NULL DEFAULT false, ADD COLUMN signed_in_at timestamptz;
DROP POLICY tenant ON users;
CREATE POLICY tenant ON users FOR SELECT TO hum_app
    USING (id IN (SELECT user_id FROM memberships) OR id = (SELECT hum.user_id()));

-- What an issuer calls a person.  An address may change hands; a subject does not.
CREATE TABLE sign_in_subjects (
    issuer text NOT NULL,
    subject text NOT NULL,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    PRIMARY KEY (issuer, subject)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON sign_in_subjects TO hum_system;

-- A sign-in that is under way: taken once, by the browser that began it, while it is young.
CREATE TABLE sign_ins (
    state_hash bytea PRIMARY KEY,
    nonce text NOT NULL,
    code_verifier text NOT NULL,
    return_to text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX sign_ins_age ON sign_ins (expires_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON sign_ins TO hum_system;

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    token_hash bytea NOT NULL UNIQUE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    -- The organization that it works in; none before onboarding.
    org_id uuid REFERENCES organizations ON DELETE SET NULL,
    idle interval NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
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

-- The doors' own eyes (as for api_keys in 0001): functions that run as the owner, whom FORCE would blind.
CREATE POLICY door ON memberships TO hum_owner
    USING (user_id = (SELECT hum.user_id()) OR org_id = (SELECT hum.org_id())) WITH CHECK (true);
CREATE POLICY door ON organizations FOR SELECT TO hum_owner
    USING (org_id IN (SELECT org_id FROM memberships WHERE user_id = (SELECT hum.user_id())));
CREATE POLICY founding ON organizations FOR INSERT TO hum_owner WITH CHECK (true);
CREATE POLICY door ON users FOR SELECT TO hum_owner USING (true);

-- Who is it?  As in 0001, and now for sessions too: a session has no key, and no organization before it has joined one.
DROP FUNCTION hum.begin_as(bytea);
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
        -- "Last used" is true to a minute; no request waits for another's lock to say so.
        UPDATE api_keys SET last_used_at = now()
         WHERE id = (SELECT id FROM api_keys
                      WHERE id = this.id AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
                        FOR UPDATE SKIP LOCKED);
        SELECT * INTO person FROM users WHERE id = this.made_by;
        PERFORM set_config('hum.org_id', this.org_id::text, true),
                set_config('hum.user_id', coalesce(this.made_by::text, ''), true);
        RETURN QUERY SELECT this.org_id, this.role, this.scopes, this.id, NULL::uuid, this.made_by, this.name,
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
    PERFORM set_config('hum.user_id', session.user_id::text, true);
    SELECT * INTO person FROM users WHERE id = session.user_id;
    SELECT * INTO member FROM memberships WHERE org_id = session.org_id AND user_id = session.user_id;
    PERFORM set_config('hum.org_id', coalesce(member.org_id::text, ''), true);
    RETURN QUERY SELECT member.org_id, member.role, NULL::text[], NULL::uuid, session.id, session.user_id,
                        person.email, person.site_admin;
END
$$;
REVOKE EXECUTE ON FUNCTION hum.begin_as(bytea) FROM public;
GRANT EXECUTE ON FUNCTION hum.begin_as(bytea) TO hum_app;

-- The person's organizations: the one question that a member asks across tenants.
CREATE FUNCTION hum.my_organizations()
RETURNS TABLE (id uuid, name text, time_zone text, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT o.org_id, o.name, o.time_zone, m.role
      FROM memberships m JOIN organizations o USING (org_id)
     WHERE m.user_id = (SELECT hum.user_id())
     ORDER BY lower(o.name), o.org_id
$$;

-- Work in another organization of mine, from now on in this session; false when I am no member of it.
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

-- Make an organization with a first admin, and make it this transaction's.
CREATE FUNCTION hum.found_organization(org uuid, org_name text, first_admin uuid, org_plan text, notes text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF first_admin IS DISTINCT FROM hum.user_id()
       AND NOT EXISTS (SELECT FROM users u WHERE u.id = hum.user_id() AND u.site_admin) THEN
        RAISE EXCEPTION 'only a site admin founds organizations for others' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO organizations (org_id, name, plan, admin_notes) VALUES (org, org_name, org_plan, notes);
    INSERT INTO memberships (org_id, user_id, role) VALUES (org, first_admin, 'admin');
    PERFORM set_config('hum.org_id', org::text, true);
END
$$;

-- For a site admin: who has this address and has signed in.
CREATE FUNCTION hum.person_for_site_admin(address text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT u.id FROM users u
     WHERE lower(u.email) = lower(address) AND u.signed_in_at IS NOT NULL
       AND EXISTS (SELECT FROM users me WHERE me.id = hum.user_id() AND me.site_admin)
$$;
REVOKE EXECUTE ON FUNCTION hum.my_organizations(), hum.switch_organization(uuid, uuid),
    hum.found_organization(uuid, text, uuid, text, text), hum.person_for_site_admin(text) FROM public;
GRANT EXECUTE ON FUNCTION hum.my_organizations(), hum.switch_organization(uuid, uuid),
    hum.found_organization(uuid, text, uuid, text, text), hum.person_for_site_admin(text) TO hum_app;

-- Answers that a person's own requests got, where no organization is at work yet (docs/contract.md, Idempotency-Key).
CREATE TABLE personal_idempotency_keys (
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    key text NOT NULL,
    method text NOT NULL,
    body_hash bytea NOT NULL,
    answer bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);
CREATE INDEX personal_idempotency_keys_age ON personal_idempotency_keys (created_at);
ALTER TABLE personal_idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE personal_idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON personal_idempotency_keys TO hum_app
    USING (user_id = (SELECT hum.user_id())) WITH CHECK (user_id = (SELECT hum.user_id()));
CREATE POLICY system ON personal_idempotency_keys TO hum_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON personal_idempotency_keys TO hum_app, hum_system;

-- Team ------------------------------------------------------------------------------------------------------------

CREATE TABLE invites (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    email text NOT NULL,
    role text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    invited_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX invites_address ON invites (org_id, lower(email));
CREATE INDEX invites_accept ON invites (lower(email));
CALL hum.tenant_table('invites');

-- Audit -----------------------------------------------------------------------------------------------------------

-- Who changed what, written in the transaction of the change.  Never updated, never deleted.
CREATE TABLE audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    org_id uuid NOT NULL REFERENCES organizations,
    at timestamptz NOT NULL DEFAULT now(),
    -- `user:<uuid>`, `key:<uuid>` or `operator`, and the name it had.
    actor text NOT NULL,
    actor_name text NOT NULL,
    action text NOT NULL,
    -- What it was done to, as clients write it; empty where the action says it all.
    subject text NOT NULL,
    -- The names of the fields that were given; values stand where they belong, and nowhere twice.
    fields text[] NOT NULL,
    request_id text NOT NULL
);
CREATE INDEX audit_log_page ON audit_log (org_id, id DESC);
CREATE INDEX audit_log_horizon ON audit_log (xid, id);
CALL hum.tenant_table('audit_log');
REVOKE UPDATE, DELETE ON audit_log FROM hum_app, hum_system;

-- The sealer's place.
INSERT INTO event_cursors (reader, xid, id) VALUES ('audit', '0', 0);

-- The chain: one sealer links committed entries in the order of their commits.  A fork would need the same
-- predecessor twice, which the unique key refuses.
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
