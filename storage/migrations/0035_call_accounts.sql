-- The carrier's account that holds the call: it is looked up, ended and moved there.  Empty: ours.
ALTER TABLE calls ADD COLUMN carrier_account text NOT NULL DEFAULT '';
-- Calls that go on while this is applied.
SET LOCAL ROLE hum_system;
UPDATE calls c
   SET carrier_account = coalesce((SELECT o.account FROM outbound_calls o WHERE o.call_id = c.id),
                                  (SELECT n.account_sid FROM numbers n WHERE n.id = c.number_id), '')
 WHERE c.status IN ('queued', 'ringing', 'in_progress');
SET LOCAL ROLE hum_owner;
