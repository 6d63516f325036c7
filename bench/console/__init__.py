"""Delays that a user of the web console experiences."""
