"""Pure rules for customers' URLs, without look-up and sockets (`control/clients/http.py` has those).

A URL is checked twice.  `Policy.check_url` checks its text when it is saved.  `Policy.refusal` checks every address of
its host when connecting.

Sources: OWASP's SSRF cheat sheet; WHATWG URL on hosts that end in a number.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from yarl import URL

from hum.publicaddress import NEVER, Address, Network, is_public, plain

LONGEST_URL = 2048
PORTS = frozenset({443, 8443})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})

#: Headers that would change the request's framing or destination.
OWN_HEADERS = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "accept-encoding",
        "cookie",
    }
)
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,4096}")


#: Some address on the internet.
_PUBLIC = IPv4Address("1.1.1.1")


class Reason(StrEnum):
    """The reason why there is no answer.  Stable: reasons are stored with deliveries and shown to customers."""

    INVALID = "invalid_request"
    BLOCKED = "blocked_address"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    PROTOCOL = "protocol"


class EgressError(Exception):
    """A failure to get an answer from a customer's URL."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message

    @property
    def is_ambiguous(self) -> bool:
        """Whether the receiver may have acted on the request although there is no answer."""
        return self.reason in {Reason.TIMEOUT, Reason.TOO_LARGE, Reason.PROTOCOL}


@dataclass(frozen=True, slots=True)
class EgressTarget:
    """A URL that may be looked up, with a name as its host or an address in its usual form."""

    url: URL
    scheme: str
    host: str
    port: int
    #: The host, if it is an address.
    address: Address | None


def parse_url(text: str) -> EgressTarget:
    """Parse a customer's URL.  Raises EgressError for one that is never allowed, whatever its host resolves to."""
    if len(text) > LONGEST_URL:
        raise _invalid(f"The URL is longer than {LONGEST_URL} characters.")
    if any(char <= " " or char in "\\\x7f" for char in text):
        raise _invalid("The URL contains a space, a backslash or a control character.")
    try:
        url = URL(text)
        host, port = (url.raw_host or "").lower(), url.port
    except (ValueError, UnicodeError) as error:
        raise _invalid("The URL is not valid.") from error
    if url.scheme not in {"http", "https"}:
        raise _invalid("The URL must begin with https://.")
    authority = re.split(r"[/?#]", text.partition("//")[2], maxsplit=1)[0]
    if "@" in authority:
        raise _invalid("The URL must not contain a user name or password; use a header.")
    host = host.removesuffix(".")
    address = _literal(host)
    is_v6 = isinstance(address, IPv6Address)
    if is_v6 != ("[" in authority) or (address is None and not _is_name(host)):
        raise _invalid("The URL's host is not a domain name or an IP address in its usual form.")
    if not port:
        raise _invalid("The URL's port must be between 1 and 65535.")
    return EgressTarget(url.with_host(host).with_fragment(None), url.scheme, host, port, address)


def origin(text: str) -> tuple[str, str]:
    """Return the scheme and authority of a URL; for one that can't be parsed, its text as an origin of its own."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return "", text
    return parts.scheme.lower(), parts.netloc.lower()


def _invalid(message: str) -> EgressError:
    return EgressError(Reason.INVALID, message)


def _literal(host: str) -> Address | None:
    # A zone is an interface of this machine.
    if "%" in host:
        return None
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_name(host: str) -> bool:
    """Tell whether a host is a name.  `0x7f.1`, `2130706433` and `0177.0.0.1` are addresses in disguise."""
    labels = host.split(".")
    return (
        len(host) <= 253
        and all(_LABEL.fullmatch(label) for label in labels)
        and not _NUMERIC_LABEL.fullmatch(labels[-1])
    )


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise EgressError for a customer's header that would break the request's framing, or that HUM sets itself."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise _invalid(f"The header {name[:40]!r} is not a valid HTTP header.")
        if name.lower() in OWN_HEADERS or name.lower().startswith("proxy-"):
            raise _invalid(f"The header {name} can't be set.")


#: For people who don't know the setting, and for those who do.
NOT_PUBLIC = (
    "The URL leads to an address that is not public, such as one inside your own network, and HUM calls public ones alone. "
    "The people who run HUM can allow it (setting HUM_EGRESS_ALLOW)."
)


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's allowed networks (`HUM_EGRESS_ALLOW`), on any port and also by http."""

    allowed: tuple[Network, ...] = ()

    def check_url(self, text: str) -> EgressTarget:
        """Parse a URL that is to be saved.  Raises EgressError for one that could never be called."""
        target = parse_url(text)
        if target.address is None:
            refusal = self.refusal_of_name(target.scheme, target.port)
        else:
            refusal = self.refusal(target.scheme, target.port, [target.address])
        if refusal is not None:
            raise EgressError(Reason.BLOCKED, refusal)
        return target

    def refusal(self, scheme: str, port: int, addresses: Iterable[Address]) -> str | None:
        """Return why a host with these addresses must not be connected to, or None.  One forbidden address suffices."""
        for address in addresses:
            if self._is_allowed(plain(address)):
                continue
            if not is_public(address):
                return NOT_PUBLIC
            if scheme != "https":
                return "The URL must begin with https://."
            if port not in PORTS:
                return f"The URL's port must be one of {', '.join(map(str, sorted(PORTS)))}."
        return None

    def refusal_of_name(self, scheme: str, port: int) -> str | None:
        """Return why no named host may be reached with this scheme and port, whatever it resolves to, or None."""
        if self.allowed:
            return None
        return self.refusal(scheme, port, [_PUBLIC])

    def _is_allowed(self, address: Address) -> bool:
        return any(address in network for network in self.allowed) and not any(address in network for network in NEVER)
