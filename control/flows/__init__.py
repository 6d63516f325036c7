"""Flows: the definitions of agents, and their prompts."""
