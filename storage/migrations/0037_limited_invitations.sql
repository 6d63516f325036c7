-- An invitation brings its limits: whoever joins is limited from the first moment.

ALTER TABLE invites
    -- What the member will see; both empty: everything.
    ADD COLUMN limited_numbers uuid[] NOT NULL DEFAULT '{}',
    ADD COLUMN limited_flows uuid[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT invites_admins_see_everything
        CHECK (role <> 'admin' OR cardinality(limited_numbers) + cardinality(limited_flows) = 0);

-- Join the inviting organization with the invitation's limits, and switch session and transaction to it. Return null if
-- there is no such invitation to this address.
CREATE OR REPLACE FUNCTION hum.accept_invitation(session uuid, invitation uuid) RETURNS uuid
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
    INSERT INTO memberships (org_id, user_id, role, limited_numbers, limited_flows)
    VALUES (accepted.org_id, hum.user_id(), accepted.role, accepted.limited_numbers, accepted.limited_flows)
    ON CONFLICT DO NOTHING;
    UPDATE sessions SET org_id = accepted.org_id WHERE id = session AND user_id = hum.user_id();
    PERFORM set_config('hum.org_id', accepted.org_id::text, true);
    RETURN accepted.org_id;
END
$$;

-- The calls of limited agents; numbers and flows have such an index already.
CREATE INDEX calls_agent_flow ON calls (agent_flow_id, created_at DESC, id DESC) WHERE agent_flow_id IS NOT NULL;
