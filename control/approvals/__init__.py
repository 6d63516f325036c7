"""Approvals: tool calls that a person must approve, while the agent goes on."""
