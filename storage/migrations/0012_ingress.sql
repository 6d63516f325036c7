-- What control knows of its media processes; calls that nobody has; whose number a call came to, and who vouches for the caller.

-- The link that a media process has now (null: none), and why it takes no calls (null: it takes them).
ALTER TABLE media_links ADD COLUMN link uuid;
ALTER TABLE media_links ADD COLUMN refuses text;

-- How often the carrier was told to open a stream; some are refused at the door.
ALTER TABLE calls ADD COLUMN streams_offered integer NOT NULL DEFAULT 0;
-- Since when nobody has the call, as the sweep found, and when the carrier was last asked about it.
ALTER TABLE calls ADD COLUMN lost_at timestamptz;
ALTER TABLE calls ADD COLUMN looked_at timestamptz;
-- What the carrier says of the caller's number (STIR/SHAKEN); null: nothing.
ALTER TABLE calls ADD COLUMN caller_verification text CHECK (caller_verification IN ('passed', 'failed'));

-- The carrier's account that holds the number; null: one of ours, nobody has looked which.
ALTER TABLE numbers ADD COLUMN account_sid text;
