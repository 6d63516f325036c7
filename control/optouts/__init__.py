"""Opt-outs of contacts: their source, and their effects."""
