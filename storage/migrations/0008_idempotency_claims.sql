-- A request that acts outside of the database claims its idempotency key, and commits that, before anything happens.
-- While its lease runs, twins are told that it is in progress; when the lease is over, a twin may take the key over.

ALTER TABLE idempotency_keys
    ALTER COLUMN answer DROP NOT NULL,
    ADD COLUMN claim uuid,
    -- The request that is at work, as the logs name it.
    ADD COLUMN claimed_by text,
    ADD COLUMN leased_until timestamptz,
    ADD CONSTRAINT idempotency_keys_answered_or_claimed
        CHECK (num_nonnulls(claim, claimed_by, leased_until) = CASE WHEN answer IS NULL THEN 3 ELSE 0 END);
