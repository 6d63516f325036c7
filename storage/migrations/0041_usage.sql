-- What calls, texts and the model's other work used, and what that costs.

-- One row for each thing that is counted of a subject: no person's data, so it outlives the call or text that it is of.
CREATE TABLE usage_entries (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    -- The call, message, AI's turn, ... that used it.
    subject_id uuid NOT NULL,
    -- Which part of it: `stream 1`, `transfer ...`, `summary`, ...; empty: itself.
    part text NOT NULL,
    meter text NOT NULL,
    -- The model, or the country that sets the carrier's price; empty for a mere count.
    item text NOT NULL,
    -- All zeros: none.
    flow_id uuid NOT NULL,
    number_id uuid NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    -- Null: its call goes on.
    used_at timestamptz,
    -- By the price table, as of its time; null: not estimated yet, or no price is known.
    estimate numeric,
    estimate_currency text,
    -- What the carrier itself charges.
    price numeric,
    price_currency text,
    -- What the roll-ups have of it; null: nothing.
    counted_quantity bigint,
    counted_cost numeric,
    counted_currency text,
    counted_basis text,
    PRIMARY KEY (org_id, subject_id, part, meter, item),
    CHECK ((estimate IS NULL) = (estimate_currency IS NULL)),
    CHECK ((price IS NULL) = (price_currency IS NULL))
);
CALL hum.tenant_table('usage_entries');
REVOKE DELETE ON usage_entries FROM hum_app;

-- Their sums by quarter of an hour, as in `call_rollups`: every time zone's midnight is the edge of one.  A reader of the events moves
-- into them whatever of the entries is not counted yet, so an event that comes again adds nothing.
CREATE TABLE usage_rollups (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    quarter_at timestamptz NOT NULL,
    flow_id uuid NOT NULL,
    number_id uuid NOT NULL,
    meter text NOT NULL,
    item text NOT NULL,
    -- How its cost is known, and in which currency (empty: it is not).
    basis text NOT NULL CHECK (basis IN ('none', 'estimate', 'carrier')),
    currency text NOT NULL,
    quantity bigint NOT NULL,
    cost numeric NOT NULL,
    PRIMARY KEY (org_id, quarter_at, flow_id, number_id, meter, item, basis, currency)
);
CALL hum.tenant_table('usage_rollups');
REVOKE INSERT, UPDATE, DELETE ON usage_rollups FROM hum_app;

-- Since when the organization has events that a reader has not read; null: it has read all.
CREATE FUNCTION hum.unread_since(of text) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT min(e.created_at) FROM events e
     WHERE e.org_id = (SELECT hum.org_id()) AND e.data IS NOT NULL
       AND (e.xid, e.id) > (SELECT c.xid, c.id FROM event_cursors c WHERE c.reader = of)
$$;
REVOKE EXECUTE ON FUNCTION hum.unread_since(text) FROM public;
GRANT EXECUTE ON FUNCTION hum.unread_since(text) TO hum_app;
INSERT INTO event_cursors (reader, xid, id) VALUES ('usage', '0', 0);
