"""Approvals: what an agent may not do alone waits for a person, while the agent goes on."""
