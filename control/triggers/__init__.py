"""Triggers: other systems' posts that become events."""
