-- What people who follow a call told its agent, oldest first.
ALTER TABLE calls ADD COLUMN interventions json NOT NULL DEFAULT '[]';
