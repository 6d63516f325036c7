"""What a request to an MCP server needs, and why it fails.  Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from control.mcp.transport import OAuthClient

SILENT = "The MCP server did not answer in time."


class Unusable(Exception):  # noqa: N818 - an external failure
    """The failure of an MCP server to give a usable answer; its text is a sentence."""


class NotExecuted(Unusable):
    """A failure that surely had no effect: the connection had ended, or the session was unknown.  Retry over a new connection."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server with all that a request to it needs; each change of its settings is a new revision."""

    org: UUID
    server: UUID
    revision: int
    transport: str
    url: str
    headers: Mapping[str, str]
    oauth: OAuthClient | None
    answer_seconds: float
