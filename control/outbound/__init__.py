"""Outbound calls: ordering, placing, and what becomes of each attempt."""
