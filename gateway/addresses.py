"""Who asks, as an address.  Pure.

A peer that is a trusted proxy names the client in `X-Forwarded-For`, to which each proxy appends whom it saw: so the
list is read from its right end, and only as far as trusted proxies wrote it.  What stands before that anybody may have
made up.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Networks = Sequence[IPv4Network | IPv6Network]
IPv6_PREFIX = 64  # what one customer has at least: whoever has one of its addresses has all
MOST_HOPS = 20


def client_of(peer: str, forwarded: str, trusted: Networks) -> str:
    """The client's address, as `counted` shows it: the peer's, or the one that trusted proxies vouch for."""
    address = peer
    for hop in reversed(forwarded.rsplit(",", MOST_HOPS)[-MOST_HOPS:]):
        if not is_in(address, trusted) or _parse(hop) is None:
            break
        address = hop
    return counted(address)


def is_in(address: str, networks: Networks) -> bool:
    """Tell whether an address is in one of these networks; what is no address is in none."""
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in networks)


def counted(address: str) -> str:
    """The form under which an address is counted: IPv6 by its network, IPv4 within IPv6 as IPv4."""
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
