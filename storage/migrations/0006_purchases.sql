-- Numbers that are bought and given back: each is an attempt that is committed before the carrier is asked.

ALTER TABLE numbers DROP CONSTRAINT numbers_status_check;
-- releasing: it is being given back; it answers nothing any more.
ALTER TABLE numbers ADD CONSTRAINT numbers_status_check CHECK (status IN ('active', 'gone', 'releasing'));
ALTER TABLE numbers ADD COLUMN releasing_since timestamptz;
CREATE INDEX numbers_releasing ON numbers (releasing_since) WHERE status = 'releasing';

CREATE TABLE number_purchases (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    e164 text NOT NULL,
    flow_id uuid,
    sms_flow_id uuid,
    -- buying: the carrier has been, or may be, asked.  returning: it is ours at the carrier, and must not be.
    status text NOT NULL CHECK (status IN ('buying', 'bought', 'failed', 'returning', 'returned')),
    carrier_sid text,
    number_id uuid REFERENCES numbers ON DELETE SET NULL,
    actor text NOT NULL,
    actor_name text NOT NULL,
    request_id text NOT NULL,
    idempotency_key text,
    body_hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Whoever works on it says so; when that is long ago, it is anybody's.
    claimed_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX number_purchases_open ON number_purchases (e164) WHERE status IN ('buying', 'returning');
CREATE INDEX number_purchases_due ON number_purchases (claimed_at) WHERE status IN ('buying', 'returning');
CREATE UNIQUE INDEX number_purchases_key ON number_purchases (org_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL AND status IN ('buying', 'bought');
CALL hum.tenant_table('number_purchases');

-- While a deployment has one organization, what its carrier account holds is that one's.
CREATE POLICY counting ON organizations FOR SELECT TO hum_owner
    USING (current_setting('hum.counting', true) = 'on');
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
REVOKE EXECUTE ON FUNCTION hum.is_only_organization() FROM public;
GRANT EXECUTE ON FUNCTION hum.is_only_organization() TO hum_app;
