"""Triggers: what other systems post becomes events."""
