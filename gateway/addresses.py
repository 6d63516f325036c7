"""The client's address.  Pure.

Each proxy appends its own peer to `X-Forwarded-For`, so the list is read from the right, and only as far as trusted
proxies wrote it: the client may have written anything to the left of that.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Networks = Sequence[IPv4Network | IPv6Network]
IPv6_PREFIX = 64  # the least that one customer gets
MOST_HOPS = 20


def client_of(peer: str, forwarded: str, trusted: Networks) -> str:
    """The client's address in the form of `counted`: the peer's, or the one that trusted proxies report."""
    address = peer
    for hop in reversed(forwarded.rsplit(",", MOST_HOPS)[-MOST_HOPS:]):
        if not is_in(address, trusted) or _parse(hop) is None:
            break
        address = hop
    return counted(address)


def is_in(address: str, networks: Networks) -> bool:
    """Tell whether an address is in one of these networks; False for text that is not an address."""
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in networks)


def counted(address: str) -> str:
    """The key that limits use for an address: the /64 of an IPv6 address, IPv4 for an IPv4-mapped one."""
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, IPv6_PREFIX), strict=False))
    return str(parsed or "unknown")


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """An address, with or without a port."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
