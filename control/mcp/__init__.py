"""MCP servers: other systems' tools for agents, pinned as somebody accepted them."""
