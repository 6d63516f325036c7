-- Contacts that belong together, a person's numbers or a household: pairs without a direction.
CREATE TABLE contact_links (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    first_id uuid NOT NULL REFERENCES contacts ON DELETE CASCADE,
    second_id uuid NOT NULL REFERENCES contacts ON DELETE CASCADE,
    PRIMARY KEY (first_id, second_id),
    CHECK (first_id < second_id)
);
CREATE INDEX contact_links_second ON contact_links (second_id);
CREATE INDEX contact_links_org ON contact_links (org_id);
CALL hum.tenant_table('contact_links');
CALL hum.limited_table('contact_links',
    '(EXISTS (SELECT FROM contacts k WHERE k.id = contact_links.first_id)
      AND EXISTS (SELECT FROM contacts k WHERE k.id = contact_links.second_id))');
