"""Voicemail: what a mailbox says, and what becomes of the messages that it takes."""
