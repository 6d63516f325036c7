"""Campaigns: one text to many contacts, at a pace, each of them once."""
