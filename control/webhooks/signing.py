"""The headers of a delivery: HUM's own, and those of Standard Webhooks (https://www.standardwebhooks.com).  Pure.

Both sign with the bytes behind `whsec_`.  HUM's signature is over the body, by the newest secret; the standard's is over id, time
and body, by each secret that is valid, so a receiver may change to the new one at any time while both are.
"""

import base64
from collections.abc import Sequence
from typing import Final

from control.base import standardwebhooks
from hum.secrets import sign

USER_AGENT: Final = "bluehive-hum-webhooks/1.0"
#: What a customer's own headers may not be named, besides those that frame a request (`egress.OWN_HEADERS`).
RESERVED: Final = frozenset({"content-type", "content-encoding", "user-agent", "date"})
RESERVED_PREFIXES: Final = ("x-hum-", "webhook-")


def new_secret() -> str:
    return standardwebhooks.secret(standardwebhooks.new_key())


def headers(
    *, secrets: Sequence[str], event_id: str, event_type: str, delivery_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """The headers of an attempt at `timestamp` (Unix seconds), signed by these secrets, the newest first.  Raises ValueError."""
    keys = [key for each in secrets if (key := standardwebhooks.key(each)) is not None]
    if len(keys) < len(secrets):
        raise ValueError("a webhook's secret is not whsec_ and base64")
    signatures = [standardwebhooks.signature(each, event_id, str(timestamp), body) for each in keys]
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "X-HUM-Event": event_type,
        "X-HUM-Delivery": delivery_id,
        "X-HUM-Signature": f"sha256={sign(keys[0], body).hex()}",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(each).decode()}" for each in signatures),
    }


def is_reserved(name: str) -> bool:
    """Whether a header is HUM's to set."""
    lower = name.lower()
    return lower in RESERVED or lower.startswith(RESERVED_PREFIXES)
