"""The headers of a delivery: HUM's own, and those of Standard Webhooks (https://www.standardwebhooks.com).  Pure.

Both sign with the bytes behind `whsec_`.  HUM's signature covers the body, with the newest secret.  The standard's covers id, time
and body, once per valid secret, so a receiver may switch to the new secret at any time while both are valid.
"""

import base64
from collections.abc import Sequence
from typing import Final

from control.base import standardwebhooks
from hum.secrets import sign

USER_AGENT: Final = "bluehive-hum-webhooks/1.0"
#: Names that a customer's headers may not have, besides those that frame a request (`egress.OWN_HEADERS`).
RESERVED: Final = frozenset({"content-type", "content-encoding", "user-agent", "date"})
RESERVED_PREFIXES: Final = ("x-hum-", "webhook-")


def new_secret() -> str:
    return standardwebhooks.secret(standardwebhooks.new_key())


def headers(
    *, secrets: Sequence[str], event_id: str, event_type: str, delivery_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the headers of an attempt at `timestamp` (Unix seconds), signed with secrets, newest first.  Raises ValueError."""
    keys = [key for secret in secrets if (key := standardwebhooks.key(secret)) is not None]
    if len(keys) < len(secrets):
        raise ValueError("a webhook's secret is not whsec_ and base64")
    signatures = [standardwebhooks.signature(key, event_id, str(timestamp), body) for key in keys]
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "X-HUM-Event": event_type,
        "X-HUM-Delivery": delivery_id,
        "X-HUM-Signature": f"sha256={sign(keys[0], body).hex()}",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(signature).decode()}" for signature in signatures),
    }


def is_reserved(name: str) -> bool:
    """Return whether only HUM may set a header."""
    lower = name.lower()
    return lower in RESERVED or lower.startswith(RESERVED_PREFIXES)
