-- What sounded like a voice over the agent and did not stop it: JSON objects, as they were reported, and how many more there were.
ALTER TABLE calls
    ADD COLUMN refused_onsets json NOT NULL DEFAULT '[]',
    ADD COLUMN more_refused_onsets integer NOT NULL DEFAULT 0;
