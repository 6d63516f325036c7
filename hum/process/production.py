"""The checks of settings that only production enforces."""

import base64
import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

from hum.refusal import refuse
from hum.secrets import KEY_BYTES, Keyring
from hum.settings import Common, ControlSettings, RecordingSettings
from hum.settings.base import listed

#: `make_keys` generates 43 characters; other keys need at least this many, and this many different ones.
LEAST_KEY_CHARS, LEAST_DIFFERENT_CHARS = 32, 12
LOOPBACK = ("127.0.0.1", "::1", "localhost")
MAKE_KEYS = "`hum admin make-keys` prints a good one"


def make_keys() -> dict[str, str]:
    """Return new keys for a deployment, by variable, with 256 random bits each."""
    sealing = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    return {"HUM_NODE_KEY": secrets.token_urlsafe(32), "HUM_SECRET_KEYS": f"1:{sealing}"}


def require(settings: Common) -> None:
    """End the process with a sentence for each setting that is not acceptable in production."""
    if sentences := problems(settings):
        refuse(*sentences)


def problems(settings: Common) -> list[str]:
    """Return a sentence for each setting that is not acceptable in production; none in development."""
    if not settings.production:
        return []
    sentences = [bad_node_key(settings.node_key)]
    if isinstance(settings, ControlSettings):
        sentences += [bad_secret_keys(settings.secret_keys), bad_bus(settings.bus_urls)]
    if not settings.public_url.startswith("https://"):
        sentences.append(
            f"HUM_PUBLIC_URL is {settings.public_url}; production needs https, because http exposes session cookies"
        )
    if not settings.media_url.startswith("wss://"):
        sentences.append(f"HUM_MEDIA_URL is {settings.media_url}; production needs wss, because ws exposes calls")
    if isinstance(settings, RecordingSettings) and settings.bucket is not None and _is_open(settings.s3_endpoint):
        sentences.append(
            f"HUM_S3_ENDPOINT is {settings.s3_endpoint}; production needs https, because http exposes what callers say"
        )
    return [sentence for sentence in sentences if sentence is not None]


def _is_open(url: str) -> bool:
    """Tell whether traffic to this URL is readable on the network."""
    parts = urlsplit(url)
    return parts.scheme in {"http", "nats"} and parts.hostname not in LOOPBACK


def bad_node_key(key: str) -> str | None:
    """Return what is wrong with HUM_NODE_KEY, or None."""
    keys = listed(key)
    if not keys:
        return f"HUM_NODE_KEY is not set; set it to the same long random string on every plane: {MAKE_KEYS}"
    if any(len(one_key) < LEAST_KEY_CHARS or len(set(one_key)) < LEAST_DIFFERENT_CHARS for one_key in keys):
        return f"HUM_NODE_KEY is too easy to guess; it needs {LEAST_KEY_CHARS} random characters: {MAKE_KEYS}"
    return None


def bad_bus(urls: Sequence[str]) -> str | None:
    """Return what is wrong with HUM_BUS_URL, or None.  What callers say travels over the bus."""
    if not any(_is_open(url) for url in urls):
        return None
    return "HUM_BUS_URL has a server at nats://; production needs tls://, because nats exposes what callers say"


def bad_secret_keys(text: str) -> str | None:
    """Return what is wrong with HUM_SECRET_KEYS, or None."""
    if not text:
        return f"HUM_SECRET_KEYS is not set; set it to 1:<{KEY_BYTES} random bytes in base64>: {MAKE_KEYS}"
    try:
        keys = Keyring.read(text)
        Keyring(keys)
    except ValueError:
        return (
            "HUM_SECRET_KEYS can't be read; it is version:key,... newest first, each key "
            f"{KEY_BYTES} random bytes in base64: {MAKE_KEYS}"
        )
    is_random = all(len(set(key)) >= LEAST_DIFFERENT_CHARS for _, key in keys)
    return None if is_random else f"HUM_SECRET_KEYS has a key that is not random: {MAKE_KEYS}"
