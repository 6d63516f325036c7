"""HUM's own MCP server."""

from hum.settings.base import Common, constant


class McpServerSettings(Common):
    """Limits on the answers that agents get at /mcp."""

    mcp_server_result_bytes: int = constant(
        100_000,
        "bytes of an answer that an agent gets at /mcp; the rest is cut off, and the agent told so",
        ge=1000,
    )
