"""Contacts that want no texts: who said so, and what it ends."""
