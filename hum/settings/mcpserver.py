"""HUM's own MCP server."""

from hum.settings.base import Common, setting


class McpServerSettings(Common):
    """Limits on the answers that agents get at /mcp."""

    mcp_server_result_bytes: int = setting(
        "HUM_MCP_SERVER_RESULT_BYTES",
        100_000,
        "bytes of an answer that an agent gets at /mcp; the rest is cut off, and the agent told so",
        ge=1000,
    )
