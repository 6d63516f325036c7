-- Replies to keywords are few, whatever a thread receives: how many there were lately is asked at each.
CREATE INDEX messages_system ON messages (conversation_id, id DESC) WHERE sent_by = 'system';
-- What is still to be sent to a contact, which an opt-out ends.
CREATE INDEX messages_due_contact ON messages (org_id, contact_e164) WHERE due_at IS NOT NULL;
-- What HUM answers to keywords, in the organization's words.
ALTER TABLE organizations ADD COLUMN keyword_texts_json text;
