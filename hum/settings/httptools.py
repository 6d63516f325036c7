"""Tools that organizations make, and executions of all tools."""

from hum.settings.base import Common, constant


class HttpToolSettings(Common):
    """HTTP tools, hooks, and the retention of their executions."""

    http_tools: int = constant(100, "HTTP tools that an organization may have", ge=1)
    flow_tools: int = constant(30, "tools and hooks that a flow may bind", ge=1, le=100)
    tool_secrets: int = constant(100, "secrets of tools that an organization may have", ge=1)
    http_tool_retry_seconds: float = constant(
        0.25,
        "seconds before the second attempt of a tool's request; twice as long before each further one",
        gt=0,
    )
    hooks_seconds: float = constant(
        1.5,
        "seconds that all hooks of a call have together, while its greeting plays",
        gt=0,
        le=10,
    )
    hook_seconds: float = constant(1.2, "seconds that one hook has", gt=0, le=10)
