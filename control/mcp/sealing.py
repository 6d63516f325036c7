"""The sealed and the clear form of a server's secrets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from hum.secrets import Keyring, SealContext
from storage.mcp import ServerRow

HEADERS, BEARER, OAUTH = "mcp_servers.headers", "mcp_servers.bearer", "mcp_servers.oauth"


@dataclass(frozen=True, slots=True)
class Secrets:
    """A server's secrets in clear text."""

    headers: Mapping[str, str]
    bearer: str | None
    oauth_secret: str | None


NONE = Secrets({}, None, None)


class McpSealer:
    """The sealer of secrets; opening raises Unsealable."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, secrets: Secrets, id: UUID, org: UUID) -> tuple[bytes | None, bytes | None, bytes | None]:
        """Seal the headers, the bearer token and the OAuth client's secret; None for missing ones."""
        headers = json.dumps(dict(secrets.headers)) if secrets.headers else None
        return (
            self._seal(headers, HEADERS, id, org),
            self._seal(secrets.bearer, BEARER, id, org),
            self._seal(secrets.oauth_secret, OAUTH, id, org),
        )

    def open(self, row: ServerRow) -> Secrets:
        access = row.access
        headers = self._open(access.sealed_headers, HEADERS, row)
        return Secrets(
            json.loads(headers) if headers else {},
            self._open(access.sealed_bearer, BEARER, row),
            self._open(access.sealed_oauth_secret, OAUTH, row),
        )

    def _seal(self, text: str | None, place: str, id: UUID, org: UUID) -> bytes | None:
        return self._keyring.seal(text.encode(), SealContext(place, id, org)) if text else None

    def _open(self, blob: bytes | None, place: str, row: ServerRow) -> str | None:
        return None if blob is None else self._keyring.open(blob, SealContext(place, row.id, row.org_id)).decode()
