-- The API keys that made other keys and invitations, and indexes for the counts of an organization's
-- event runs and of its calls' minutes that were not rolled up yet.

-- The key that made this one or the invitation, which end with it. Null: a person made it, or an operator.
ALTER TABLE api_keys ADD COLUMN made_by_key uuid REFERENCES api_keys ON DELETE CASCADE;
CREATE INDEX api_keys_made_by_key ON api_keys (made_by_key) WHERE made_by_key IS NOT NULL;
ALTER TABLE invites ADD COLUMN made_by_key uuid REFERENCES api_keys ON DELETE CASCADE;
CREATE INDEX invites_made_by_key ON invites (made_by_key) WHERE made_by_key IS NOT NULL;

CREATE INDEX event_runs_begun ON event_runs (org_id, created_at) WHERE status <> 'skipped';
CREATE INDEX usage_entries_uncounted_minutes ON usage_entries (org_id, used_at)
    WHERE meter = 'call_minutes' AND counted_quantity IS NULL;
