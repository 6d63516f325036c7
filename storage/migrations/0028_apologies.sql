-- Apologies of the gateway while control is unavailable: whether the call has been offered a stream since, and how it ends.

-- When the call was last offered a stream.
ALTER TABLE calls ADD COLUMN offered_at timestamptz;
-- When the caller heard the apology in place of the next step, while the end of the last stream was not reported yet.
ALTER TABLE calls ADD COLUMN apologized_at timestamptz;
