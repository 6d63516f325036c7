"""Campaigns: a text to many contacts, each once, at a limited rate."""
