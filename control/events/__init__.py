"""Events: what happened, for clients that catch up by polling."""
