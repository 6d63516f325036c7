-- The models that answered for the stages of a call's cascade: how often they were asked, how often they failed, what they took.
CREATE TABLE call_stages (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    stage text NOT NULL CHECK (stage IN ('ears', 'mind', 'mouth')),
    model text NOT NULL,
    requests integer NOT NULL,
    failures integer NOT NULL,
    -- Of the requests that did not fail.
    took_ms bigint NOT NULL,
    longest_ms integer NOT NULL,
    last_error text,
    PRIMARY KEY (call_id, stage, model)
);
CREATE INDEX call_stages_org ON call_stages (org_id);
CALL hum.tenant_table('call_stages');
CALL hum.limited_table('call_stages', 'EXISTS (SELECT FROM calls c WHERE c.id = call_stages.call_id OFFSET 0)');
