"""Calls: routing, what happens while they live, and what is owed afterwards."""
