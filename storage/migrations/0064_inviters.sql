-- An invitation by a key named the key, which calls itself as it likes: a person, or this deployment's operator.

SET LOCAL ROLE hum_system;
UPDATE invites i SET invited_by = 'API key'
 WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = i.made_by AND u.email = i.invited_by);
SET LOCAL ROLE hum_owner;
