-- A call's own stream and the outbox are told apart; an event has an id that customers see, and a version.

CREATE TABLE call_events (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    seq bigint NOT NULL,
    type text NOT NULL,
    data json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (call_id, seq)
);
CALL hum.tenant_table('call_events');
REVOKE UPDATE, DELETE ON call_events FROM hum_app;

-- What readers have not read yet stays: `call.ended` is what the analytics of an earlier release counted by.
SET LOCAL ROLE hum_system;
INSERT INTO call_events (org_id, call_id, seq, type, data, created_at)
SELECT e.org_id, e.subject_id, e.subject_seq, e.type, e.data, e.created_at
  FROM events e JOIN calls c ON c.id = e.subject_id
 WHERE e.subject_seq IS NOT NULL;
DELETE FROM events WHERE subject_seq IS NOT NULL AND type <> 'call.ended';
SET LOCAL ROLE hum_owner;

DROP INDEX events_subject;
ALTER TABLE events DROP COLUMN subject_seq;
ALTER TABLE events ADD COLUMN public_id uuid NOT NULL DEFAULT gen_random_uuid();
ALTER TABLE events ALTER COLUMN public_id DROP DEFAULT;
ALTER TABLE events ADD COLUMN version integer NOT NULL DEFAULT 1;
CREATE UNIQUE INDEX events_public ON events (public_id);
DROP INDEX events_org;
CREATE INDEX events_org ON events (org_id, xid, id);
