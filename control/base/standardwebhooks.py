"""Secrets and signatures of Standard Webhooks (https://www.standardwebhooks.com), outgoing and incoming.  Pure."""

import base64
import binascii
import secrets
from typing import Final

from hum.secrets import sign

PREFIX: Final = "whsec_"
#: The standard's bounds.
SECRET_BYTES: Final = range(24, 65)
NEW_SECRET_BYTES: Final = 32


def new_key() -> bytes:
    """Return a new random key."""
    return secrets.token_bytes(NEW_SECRET_BYTES)


def secret(key: bytes) -> str:
    """Return a key's secret for receivers: `whsec_` and base64."""
    return PREFIX + base64.b64encode(key).decode()


def key(secret: str) -> bytes | None:
    """Return the key of a secret; None if the text is no secret."""
    key = decoded(secret.removeprefix(PREFIX)) if secret.startswith(PREFIX) else b""
    return key if len(key) in SECRET_BYTES else None


def signature(key: bytes, id: str, timestamp: str, body: bytes) -> bytes:
    """Return the HMAC-SHA256 over id, time and body."""
    return sign(key, b"%s.%s.%s" % (id.encode(), timestamp.encode(), body))


def decoded(text: str) -> bytes:
    """Decode base64; return empty bytes for any other text."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
