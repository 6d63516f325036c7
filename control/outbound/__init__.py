"""Outbound calls: orders, attempts, and their outcomes."""
