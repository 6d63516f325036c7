-- Whose account a sign-in is to become, when a person links another one; null for an ordinary sign-in.
ALTER TABLE sign_ins ADD COLUMN links_user_id uuid REFERENCES users ON DELETE CASCADE;
