"""Notifications: e-mails to members and invited people."""
