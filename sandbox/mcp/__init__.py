"""A stand-in for a customer's MCP server: tools that a test changes, in both generations of the protocol, and faults.

    async with McpServer.serve() as server:
        server.tools["find_order"] = McpTool("Finds an order.", lambda arguments: "It is on its way.")
        server.url                      # streamable HTTP
        server.sse_url                  # the older SSE transport
        # A tool that changes between two calls:
        server.tools["find_order"] = McpTool("Finds an order, and everything else.", ...)
        server.faults["tools/call"] = McpFault.HANG
        server.calls                    # the tools called, with arguments
        server.forget()                 # expire all sessions

`python -m sandbox.mcp --help` runs it alone.
"""

from sandbox.mcp.server import McpFault, McpServer, McpTool

__all__ = ["McpFault", "McpServer", "McpTool"]
