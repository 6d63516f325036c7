"""The sealed form of a webhook's secrets and headers, for the database."""

import json
from collections.abc import Mapping
from uuid import UUID

from hum.secrets import Keyring, SealContext

#: The newest and the previous secret have the same place, as a rotation moves the one to the other.
SECRET, HEADERS = "webhooks.secret", "webhooks.headers"


class WebhookSealer:
    """The sealer of secrets and headers; opening raises Unsealable."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal_secret(self, secret: str, webhook: UUID, org: UUID) -> bytes:
        return self._keyring.seal(secret.encode(), SealContext(SECRET, webhook, org))

    def secret(self, blob: bytes, webhook: UUID, org: UUID) -> str:
        return self._keyring.open(blob, SealContext(SECRET, webhook, org)).decode()

    def seal_headers(self, headers: Mapping[str, str], webhook: UUID, org: UUID) -> bytes | None:
        if not headers:
            return None
        return self._keyring.seal(json.dumps(headers).encode(), SealContext(HEADERS, webhook, org))

    def headers(self, blob: bytes | None, webhook: UUID, org: UUID) -> Mapping[str, str]:
        if blob is None:
            return {}
        headers: dict[str, str] = json.loads(self._keyring.open(blob, SealContext(HEADERS, webhook, org)))
        return headers
