-- Keys limited by their creators, one account per person, invitations that are accepted, approval of organizations, quotas.

-- Addresses -------------------------------------------------------------------------------------------------------

-- Addresses are compared without regard to the case of ASCII letters.  Without the collation, lower() folds Unicode, and
-- KELVIN SIGN (U+212A) equals k.
DROP INDEX users_email;
CREATE UNIQUE INDEX users_email ON users (lower(email COLLATE "C"));
DROP INDEX invites_address;
CREATE UNIQUE INDEX invites_address ON invites (org_id, lower(email COLLATE "C"));
DROP INDEX invites_accept;
CREATE INDEX invites_accept ON invites (lower(email COLLATE "C"));

CREATE INDEX sign_in_subjects_user ON sign_in_subjects (user_id);

-- Invitations -----------------------------------------------------------------------------------------------------

-- The member who sent it.
ALTER TABLE invites ADD COLUMN made_by uuid REFERENCES users ON DELETE CASCADE;
CREATE INDEX invites_made_by ON invites (made_by);

-- The address that the issuer verified at this sign-in; the person sees the invitations to it.
ALTER TABLE sessions ADD COLUMN verified_email text;

-- The verified address of this transaction's session, in lower case; null for keys.
CREATE FUNCTION hum.verified_address() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('hum.verified_address', true), '')
$$;

CREATE POLICY door ON invites TO hum_owner
    USING (lower(email COLLATE "C") = (SELECT hum.verified_address())) WITH CHECK (false);
CREATE POLICY inviting ON organizations FOR SELECT TO hum_owner
    USING (org_id IN (SELECT i.org_id FROM invites i WHERE lower(i.email COLLATE "C") = (SELECT hum.verified_address())));

CREATE FUNCTION hum.my_invitations()
RETURNS TABLE (id uuid, org_id uuid, org_name text, role text, invited_by text, created_at timestamptz, expires_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT i.id, i.org_id, o.name, i.role, i.invited_by, i.created_at, i.expires_at
      FROM invites i JOIN organizations o USING (org_id)
     WHERE lower(i.email COLLATE "C") = (SELECT hum.verified_address()) AND i.expires_at > now()
     ORDER BY i.created_at DESC, i.id DESC
     LIMIT 100
$$;

-- Joins the inviting organization, and switches session and transaction to it.  Null if there is no such invitation to this
-- address.
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

-- Deletes the invitation, and switches the transaction to its organization, for the entry in its audit log.
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
REVOKE EXECUTE ON FUNCTION hum.my_invitations(), hum.accept_invitation(uuid, uuid), hum.decline_invitation(uuid) FROM public;
GRANT EXECUTE ON FUNCTION hum.my_invitations(), hum.accept_invitation(uuid, uuid), hum.decline_invitation(uuid) TO hum_app;

CREATE OR REPLACE FUNCTION hum.person_for_site_admin(address text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT u.id FROM users u
     WHERE lower(u.email COLLATE "C") = lower(address COLLATE "C") AND u.signed_in_at IS NOT NULL
       AND EXISTS (SELECT FROM users me WHERE me.id = hum.user_id() AND me.site_admin)
$$;

-- Keys ------------------------------------------------------------------------------------------------------------

-- A key has at most its creator's present role, and none if the creator is not a member.  Keys that were kept when their
-- creator was removed now belong to the organization's longest-standing admin, without the scope site:admin.
SET LOCAL ROLE hum_system;
UPDATE api_keys k
   SET made_by = (SELECT m.user_id FROM memberships m
                   WHERE m.org_id = k.org_id AND m.role = 'admin'
                   ORDER BY m.created_at, m.user_id LIMIT 1),
       scopes = array_remove(k.scopes, 'site:admin')
 WHERE k.made_by IS NOT NULL AND k.revoked_at IS NULL
   AND NOT EXISTS (SELECT FROM memberships m WHERE m.org_id = k.org_id AND m.user_id = k.made_by);
SET LOCAL ROLE hum_owner;

-- Null means an operator created the key, so a deleted person's keys must not become null.
ALTER TABLE api_keys
    DROP CONSTRAINT api_keys_made_by_fkey,
    ADD CONSTRAINT api_keys_made_by_fkey FOREIGN KEY (made_by) REFERENCES users ON DELETE CASCADE;

-- As in 0004; a key is limited by its creator's role, and a session sets its verified address.
CREATE OR REPLACE FUNCTION hum.begin_as(credential bytea)
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

-- Idempotency keys ------------------------------------------------------------------------------------------------

-- Who made the request: `key:...` or `user:...`, as in the audit log.  Older rows match nobody, so their answers are not
-- repeated.  Answers that hold a secret are no longer stored.
ALTER TABLE idempotency_keys ADD COLUMN actor text NOT NULL DEFAULT '';
ALTER TABLE idempotency_keys ALTER COLUMN actor DROP DEFAULT;
ALTER TABLE personal_idempotency_keys ADD COLUMN actor text NOT NULL DEFAULT '';
ALTER TABLE personal_idempotency_keys ALTER COLUMN actor DROP DEFAULT;
SET LOCAL ROLE hum_system;
UPDATE idempotency_keys SET answer = '' WHERE method = '/hum.v1.IdentityService/CreateApiKey' AND answer IS NOT NULL;
SET LOCAL ROLE hum_owner;

-- Creating organizations ------------------------------------------------------------------------------------------

-- The person who created it, for the limit per person; null if an operator did.
ALTER TABLE organizations ADD COLUMN founded_by uuid REFERENCES users ON DELETE SET NULL;
CREATE INDEX organizations_founded_by ON organizations (founded_by) WHERE founded_by IS NOT NULL;
CREATE POLICY founder ON organizations FOR SELECT TO hum_owner USING (founded_by = (SELECT hum.user_id()));

-- Requests that wait for a site admin; the id will be the organization's.
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

-- How many the person has created or requested.  The lock serializes the person's concurrent requests.
CREATE FUNCTION hum.founded_organizations() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('founding ' || hum.user_id()::text, 0));
    RETURN (SELECT count(*) FROM organizations o WHERE o.founded_by = hum.user_id())
         + (SELECT count(*) FROM organization_requests r WHERE r.user_id = hum.user_id());
END
$$;

CREATE OR REPLACE FUNCTION hum.found_organization(org uuid, org_name text, first_admin uuid, org_plan text, notes text) RETURNS void
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

-- For site admins: list the requests, and decide one.  Approving creates the organization and switches the transaction to it.
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
REVOKE EXECUTE ON FUNCTION hum.founded_organizations(), hum.organization_requests(uuid, integer),
    hum.decide_organization(uuid, boolean) FROM public;
GRANT EXECUTE ON FUNCTION hum.founded_organizations(), hum.organization_requests(uuid, integer),
    hum.decide_organization(uuid, boolean) TO hum_app;

-- Numbers bought in a day -------------------------------------------------------------------------------------------
CREATE INDEX number_purchases_day ON number_purchases (org_id, created_at);
