"""A stand-in for a customer's MCP server: tools that a test changes, in both generations of the protocol, and faults.

    async with McpServer.serve() as server:
        server.tools["find_order"] = Tool("Finds an order.", lambda arguments: "It is on its way.")
        server.url                      # streamable HTTP; server.sse_url is the transport from before
        server.tools["find_order"] = Tool("Finds an order, and everything else.", ...)    # changed between two calls
        server.faults["tools/call"] = Fault.HANG
        server.calls                    # what was called, with which arguments
        server.forget()                 # sessions that it gave out are gone

`python -m sandbox.mcp --help` runs it alone.
"""

from sandbox.mcp.server import Fault, McpServer, Tool

__all__ = ["Fault", "McpServer", "Tool"]
