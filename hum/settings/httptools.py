"""Tools that organizations make, and executions of all tools."""

from hum.settings.base import Common, setting


class HttpToolSettings(Common):
    """HTTP tools, hooks, and the retention of their executions."""

    http_tools: int = setting("HUM_HTTP_TOOLS", 100, "HTTP tools that an organization may have", ge=1)
    flow_tools: int = setting("HUM_FLOW_TOOLS", 30, "tools and hooks that a flow may bind", ge=1, le=100)
    tool_secrets: int = setting("HUM_TOOL_SECRETS", 100, "secrets of tools that an organization may have", ge=1)
    http_tool_requests: int = setting(
        "HUM_HTTP_TOOL_REQUESTS", 20, "requests of one organization's tools that one process makes at once", ge=1
    )
    http_tool_retry_seconds: float = setting(
        "HUM_HTTP_TOOL_RETRY_SECONDS",
        0.25,
        "seconds before the second attempt of a tool's request; twice as long before each further one",
        gt=0,
    )
    hooks_seconds: float = setting(
        "HUM_HOOKS_SECONDS",
        1.5,
        "seconds that all hooks of a call have together, while its greeting plays",
        gt=0,
        le=10,
    )
    hook_seconds: float = setting("HUM_HOOK_SECONDS", 1.2, "seconds that one hook has", gt=0, le=10)
    hook_calls: int = setting(
        "HUM_HOOK_CALLS", 200, "calls whose hooks one process runs at once; those of more calls are left out", ge=0
    )
    tool_run_days: float = setting("HUM_TOOL_RUN_DAYS", 90.0, "days for which executions of tools are listed", gt=0)
