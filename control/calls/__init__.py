"""Calls: routing, live calls, and the work after a call."""
