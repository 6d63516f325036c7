"""Delivery of texts: the carrier's statuses and errors, and a user's decision if the outcome stays unknown."""
