"""Flows: the agents, and their fixed sentences."""
