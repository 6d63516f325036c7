"""The HTTP edge: REST transcoded from the contract, the carrier's webhooks, health.  It has no database access."""
