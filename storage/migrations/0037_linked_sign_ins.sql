-- A person sees the accounts at issuers that are linked, and removes one.  It is noted in all organizations of that person, as is
-- linking one.

ALTER TABLE sign_in_subjects
    ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    -- Null for those of before.
    ADD COLUMN linked_at timestamptz,
    ADD COLUMN used_at timestamptz,
    -- As the issuer verified it at the last sign-in.
    ADD COLUMN email text;
ALTER TABLE sign_in_subjects ALTER COLUMN linked_at SET DEFAULT now();

CREATE FUNCTION hum.my_sign_ins()
RETURNS TABLE (id uuid, issuer text, email text, linked_at timestamptz, used_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT s.id, s.issuer, s.email, s.linked_at, s.used_at
      FROM sign_in_subjects s
     WHERE s.user_id = (SELECT hum.user_id())
     ORDER BY s.linked_at NULLS FIRST, s.id
$$;

-- Remove one of mine, and end my other sessions; says `last` if I have no other, and null if it is not mine.
CREATE FUNCTION hum.remove_my_sign_in(sign_in uuid, session uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    -- All of them: who removes another one at the same time waits, and then finds what is left.
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

-- Note what I did in each of my organizations.
CREATE FUNCTION hum.note_in_my_organizations(actor text, actor_name text, action text, subject text, request_id text)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    INSERT INTO audit_log (org_id, actor, actor_name, action, subject, fields, request_id)
    SELECT m.org_id, actor, actor_name, action, subject, '{}', request_id
      FROM memberships m
     WHERE m.user_id = (SELECT hum.user_id())
$$;
CREATE POLICY door ON audit_log FOR INSERT TO hum_owner WITH CHECK (true);

REVOKE EXECUTE ON FUNCTION hum.my_sign_ins(), hum.remove_my_sign_in(uuid, uuid),
    hum.note_in_my_organizations(text, text, text, text, text) FROM public;
GRANT EXECUTE ON FUNCTION hum.my_sign_ins(), hum.remove_my_sign_in(uuid, uuid),
    hum.note_in_my_organizations(text, text, text, text, text) TO hum_app;
