"""Agents that events start."""
