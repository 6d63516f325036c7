"""Standard Webhooks (https://www.standardwebhooks.com): its secrets and signatures, of what leaves and of what comes in.  Pure."""

import base64
import binascii
import secrets
from typing import Final

from hum.secrets import sign

PREFIX: Final = "whsec_"
#: As the standard wants it.
SECRET_BYTES: Final = range(24, 65)
NEW_SECRET_BYTES: Final = 32


def new_key() -> bytes:
    return secrets.token_bytes(NEW_SECRET_BYTES)


def secret(key: bytes) -> str:
    """A key as receivers know it: `whsec_` and base64."""
    return PREFIX + base64.b64encode(key).decode()


def key(secret: str) -> bytes | None:
    """The key that a secret stands for; None if it is none."""
    found = decoded(secret.removeprefix(PREFIX)) if secret.startswith(PREFIX) else b""
    return found if len(found) in SECRET_BYTES else None


def signature(key: bytes, id: str, timestamp: str, body: bytes) -> bytes:
    """HMAC-SHA256 over id, time and body."""
    return sign(key, b"%s.%s.%s" % (id.encode(), timestamp.encode(), body))


def decoded(text: str) -> bytes:
    """Base64; nothing if it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
