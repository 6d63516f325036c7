"""Files in texts that came in: fetched from the carrier, kept beside the recordings, and shown."""
