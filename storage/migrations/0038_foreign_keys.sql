-- Whoever deletes a person, a number or an organization looks for what refers to it: by an index, and not by reading all texts.

CREATE INDEX messages_author ON messages (author_id) WHERE author_id IS NOT NULL;
CREATE INDEX conversations_of_number ON conversations (number_id) WHERE number_id IS NOT NULL;
CREATE INDEX number_purchases_number ON number_purchases (number_id) WHERE number_id IS NOT NULL;
CREATE INDEX sessions_org ON sessions (org_id) WHERE org_id IS NOT NULL;
CREATE INDEX sign_ins_links_user ON sign_ins (links_user_id) WHERE links_user_id IS NOT NULL;
CREATE INDEX api_keys_made_by ON api_keys (made_by) WHERE made_by IS NOT NULL;
CREATE INDEX parked_jobs_org ON parked_jobs (org_id);

-- Evaluated once for a query, not for each row.
ALTER POLICY counting ON organizations USING ((SELECT current_setting('hum.counting', true)) = 'on');

-- A trigger's function is called by its trigger alone.
REVOKE EXECUTE ON FUNCTION hum.forget_deliveries() FROM PUBLIC;
