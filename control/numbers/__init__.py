"""Numbers and their configuration at the carrier."""
