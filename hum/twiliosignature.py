"""The carrier's signatures of its requests to us.  Pure.

Twilio "Validate requests": base64(HMAC-SHA1(auth token, URL + sorted parameters)); a WebSocket upgrade has no
parameters.  We do not use the SDK's validator: it leaks timing on a length mismatch, mangles URLs with user-info or
IPv6 hosts, and accepts a JSON body unchecked when it is given empty parameters.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit, urlunsplit

Parameters = Sequence[tuple[str, str]]
SIGNATURE = re.compile(r"[0-9A-Za-z+/]{27}=")
STANDARD_PORTS = {"https": 443, "http": 80, "wss": 443, "ws": 80}


def sign(token: str, url: str, parameters: Parameters) -> str:
    """Return the signature of a request with these form parameters."""
    values: dict[str, set[str]] = {}
    for name, value in parameters:
        values.setdefault(name, set()).add(value)  # repeated values once
    signed = url + "".join(name + value for name in sorted(values) for value in sorted(values[name]))
    raw = signed.encode("utf-8", "surrogateescape")  # bytes that are not UTF-8
    return base64.b64encode(hmac.digest(token.encode(), raw, hashlib.sha1)).decode()


def looks_signed(signature: str) -> bool:
    """Tell whether this has the form of a signature: a SHA-1 in base64."""
    return SIGNATURE.fullmatch(signature) is not None


def is_signed(tokens: Iterable[str], url: str, parameters: Parameters, signature: str) -> bool:
    """Tell whether the carrier signed this request with one of the tokens, with or without the URL's standard port."""
    is_valid = False
    for token in tokens:
        for form_of_url in _with_and_without_port(url):
            is_valid |= hmac.compare_digest(sign(token, form_of_url, parameters).encode(), signature.encode())
    return is_valid


def _with_and_without_port(url: str) -> Iterator[str]:
    yield url
    parts = urlsplit(url)
    standard = STANDARD_PORTS.get(parts.scheme)
    if parts.port is None and standard is not None:
        yield urlunsplit(parts._replace(netloc=f"{parts.netloc}:{standard}"))
    elif parts.port == standard:
        yield urlunsplit(parts._replace(netloc=parts.netloc.removesuffix(f":{standard}")))
