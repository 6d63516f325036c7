"""HUM's own MCP server at `/mcp`: an agent finds an operation of the API by a goal in plain words, and executes it."""
