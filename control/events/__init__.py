"""Events, for clients that catch up by polling."""
