-- The API keys that made other keys and invitations, and an index for the count of an organization's event runs.

-- The key that made this one or the invitation, which end with it. Null: a person made it, or an operator.
ALTER TABLE api_keys ADD COLUMN made_by_key uuid REFERENCES api_keys ON DELETE CASCADE;
CREATE INDEX api_keys_made_by_key ON api_keys (made_by_key) WHERE made_by_key IS NOT NULL;
ALTER TABLE invites ADD COLUMN made_by_key uuid REFERENCES api_keys ON DELETE CASCADE;
CREATE INDEX invites_made_by_key ON invites (made_by_key) WHERE made_by_key IS NOT NULL;

CREATE INDEX event_runs_begun ON event_runs (org_id, created_at) WHERE status <> 'skipped';
