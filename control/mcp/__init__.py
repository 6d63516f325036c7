"""MCP servers: other systems' tools for agents, pinned to the version that a person accepted."""
