-- Offers of streams by processes of the last release, which set no `offered_at`: the time of an earlier offer would stay.
CREATE FUNCTION hum.stamp_offer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.offered_at := clock_timestamp();
    RETURN NEW;
END
$$;

CREATE TRIGGER calls_offered BEFORE UPDATE OF token_hash ON calls
    FOR EACH ROW WHEN (NEW.token_hash IS NOT NULL AND NEW.token_hash IS DISTINCT FROM OLD.token_hash
                       AND NEW.offered_at IS NOT DISTINCT FROM OLD.offered_at)
    EXECUTE FUNCTION hum.stamp_offer();
