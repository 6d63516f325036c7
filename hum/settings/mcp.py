"""MCP servers: other systems' tools."""

from hum.settings.base import Common, setting


class McpSettings(Common):
    """Requests to customers' MCP servers."""

    mcp_servers: int = setting("HUM_MCP_SERVERS", 20, "MCP servers that an organization may have", ge=1)
    mcp_tools: int = setting("HUM_MCP_TOOLS", 100, "tools of one MCP server; more are not read", ge=1, le=1000)
    mcp_flow_servers: int = setting(
        "HUM_MCP_FLOW_SERVERS", 5, "MCP servers whose tools one flow's agent may have", ge=1
    )
    mcp_connect_seconds: float = setting(
        "HUM_MCP_CONNECT_SECONDS", 5.0, "seconds until an MCP server must have said which protocol it speaks", gt=0
    )
    mcp_refresh_seconds: float = setting(
        "HUM_MCP_REFRESH_SECONDS", 900.0, "seconds between two readings of an MCP server's tools", gt=0
    )
    mcp_look_seconds: float = setting(
        "HUM_MCP_LOOK_SECONDS",
        2.0,
        "seconds between looks for MCP servers whose turn that is; new ones are first",
        gt=0,
    )
    mcp_refresh_limit_seconds: float = setting(
        "HUM_MCP_REFRESH_LIMIT_SECONDS", 20.0, "seconds that one reading may take", gt=0
    )
    mcp_check_seconds: float = setting(
        "HUM_MCP_CHECK_SECONDS",
        10.0,
        "seconds after which the tools of an MCP server are compared once more before one of them runs",
        ge=0,
    )
    mcp_answer_bytes: int = setting("HUM_MCP_ANSWER_BYTES", 1 << 20, "the longest answer of an MCP server", ge=1024)
    mcp_stream_bytes: int = setting(
        "HUM_MCP_STREAM_BYTES",
        8 << 20,
        "what an MCP server may send over one event stream before the connection is made anew",
        ge=1024,
    )
    mcp_connections: int = setting(
        "HUM_MCP_CONNECTIONS", 100, "MCP servers that one process is connected to at once", ge=1
    )
    mcp_calls: int = setting("HUM_MCP_CALLS", 16, "tools of one MCP server that one process runs at once", ge=1)
    mcp_idle_seconds: float = setting(
        "HUM_MCP_IDLE_SECONDS", 120.0, "seconds without use after which a connection to an MCP server is closed", gt=0
    )
