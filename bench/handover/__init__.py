"""Handovers of live calls from one media process to the next, under load."""
