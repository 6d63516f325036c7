"""MCP servers: other systems' tools."""

from hum.settings.base import Common, constant


class McpSettings(Common):
    """Requests to customers' MCP servers."""

    mcp_servers: int = constant(20, "MCP servers that an organization may have", ge=1)
    mcp_tools: int = constant(100, "tools of one MCP server; more are not read", ge=1, le=1000)
    mcp_flow_servers: int = constant(5, "MCP servers whose tools one flow's agent may have", ge=1)
    mcp_connect_seconds: float = constant(
        5.0, "seconds until an MCP server must have said which protocol it speaks", gt=0
    )
    mcp_refresh_limit_seconds: float = constant(20.0, "seconds that one reading may take", gt=0)
    mcp_check_seconds: float = constant(
        10.0,
        "seconds after which the tools of an MCP server are compared once more before one of them runs",
        ge=0,
    )
    mcp_answer_bytes: int = constant(1 << 20, "the longest answer of an MCP server", ge=1024)
    mcp_stream_bytes: int = constant(
        8 << 20,
        "what an MCP server may send over one event stream before the connection is made anew",
        ge=1024,
    )
    mcp_connections: int = constant(100, "MCP servers that one process is connected to at once", ge=1)
    mcp_calls: int = constant(16, "tools of one MCP server that one process runs at once", ge=1)
    mcp_idle_seconds: float = constant(
        120.0, "seconds without use after which a connection to an MCP server is closed", gt=0
    )
