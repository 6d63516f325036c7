"""Notifications: e-mails to the members of an organization."""
