"""Secrets: those that must be used again are sealed; those that are only compared are hashed.

Sealing is AES-256-GCM under a versioned key.  The associated data binds a blob to the table, row and organization for
which it was written, so that a blob moved elsewhere can't be decrypted.  A blob that can't be decrypted is an error,
never an empty secret.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12  # NIST SP 800-38D: 96 bits
KEY_BYTES = 32
MOST_VERSION = 0xFFFF  # two bytes in each blob
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
API_KEY_PREFIX = "hum_live_"
API_KEY_CHARS = 43  # 43 base-62 digits hold 256 bits
API_KEY = re.compile(f"{API_KEY_PREFIX}[0-9A-Za-z]{{{API_KEY_CHARS}}}")
TOKEN = re.compile(r"[0-9A-Za-z_-]{43}")


class Unsealable(Exception):  # noqa: N818
    """A sealed secret can't be decrypted: wrong place, unknown key version, or damaged."""


@dataclass(frozen=True, slots=True)
class SealContext:
    """The row to which a sealed secret belongs."""

    table: str
    row: UUID
    organization: UUID

    def associated_data(self, version: int) -> bytes:
        return f"{self.table}\0{self.row}\0{self.organization}\0{version}".encode()


class Keyring:
    """The deployment's sealing keys, newest first: the first seals, all can open."""

    def __init__(self, keys: Sequence[tuple[int, bytes]]) -> None:
        if not keys or any(len(key) != KEY_BYTES for _, key in keys):
            raise ValueError("HUM_SECRET_KEYS must hold at least one key, each of 32 bytes in base64")
        versions = [version for version, _ in keys]
        if len(set(versions)) < len(versions) or not all(0 < version <= MOST_VERSION for version in versions):
            raise ValueError(f"HUM_SECRET_KEYS must number its keys differently, from 1 to {MOST_VERSION}")
        self._newest = keys[0][0]
        self._ciphers = {version: AESGCM(key) for version, key in keys}

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """Read `version:base64key,...`, newest first."""
        return cls(cls.read(text))

    @staticmethod
    def read(text: str) -> list[tuple[int, bytes]]:
        """Return the versions and keys in `version:base64key,...`.  Raises ValueError."""
        pairs = [part.strip().partition(":") for part in text.split(",") if part.strip()]
        return [(int(version), base64.b64decode(key, validate=True)) for version, _, key in pairs]

    @property
    def newest(self) -> bytes:
        """The prefix of the blobs that it seals."""
        return self._newest.to_bytes(2)

    def seal(self, secret: bytes, context: SealContext) -> bytes:
        """Encrypt a secret; return version (2 bytes), nonce, ciphertext and tag."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        cipher = self._ciphers[self._newest]
        return self.newest + nonce + cipher.encrypt(nonce, secret, context.associated_data(self._newest))

    def open(self, blob: bytes, context: SealContext) -> bytes:
        """Decrypt a blob.  Raises Unsealable."""
        version, nonce, sealed = int.from_bytes(blob[:2]), blob[2 : 2 + NONCE_BYTES], blob[2 + NONCE_BYTES :]
        cipher = self._ciphers.get(version)
        if cipher is None:
            raise Unsealable(f"HUM_SECRET_KEYS has no key of version {version}")
        try:
            return cipher.decrypt(nonce, sealed, context.associated_data(version))
        except (InvalidTag, ValueError) as error:
            raise Unsealable("the secret is damaged or was sealed for another place") from error


def new_api_key() -> str:
    """Return a new API key: `hum_live_` and 43 base-62 digits, 256 random bits."""
    return API_KEY_PREFIX + "".join(secrets.choice(BASE62) for _ in range(API_KEY_CHARS))


def new_token() -> str:
    """Return a new token: 256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)


def looks_like_api_key(text: str) -> bool:
    """Tell whether this has the form of an API key."""
    return API_KEY.fullmatch(text) is not None


def looks_like_token(text: str) -> bool:
    """Tell whether this has the form of `new_token`'s tokens."""
    return TOKEN.fullmatch(text) is not None


def token_hash(token: str) -> bytes:
    """Return the SHA-256 of a token: enough for 256 random bits, and too fast to block the event loop."""
    return hashlib.sha256(token.encode()).digest()


def sign(key: bytes, message: bytes) -> bytes:
    """Return the HMAC-SHA256 of a message."""
    return hmac.digest(key, message, "sha256")


def is_equal(one: bytes, other: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one, other)
