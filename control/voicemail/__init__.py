"""Voicemail: a mailbox's prompts, and the processing of its messages."""
