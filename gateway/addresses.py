"""The client's address.  Pure.

Each proxy appends its own peer to `X-Forwarded-For`, so the list is read from the right, and only as far as trusted
proxies wrote it: the client may have written anything to the left of that.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

from hum.network import limit_key, parse_address

Networks = Sequence[IPv4Network | IPv6Network]
MAX_HOPS = 20


def client_of(peer: str, forwarded: str, trusted: Networks) -> str:
    """Return the client's address in the form of `limit_key`: the peer's, or the one that trusted proxies report."""
    address = peer
    for hop in reversed(forwarded.rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
        if not is_in(address, trusted) or parse_address(hop) is None:
            break
        address = hop
    return limit_key(address)


def is_in(address: str, networks: Networks) -> bool:
    """Tell whether an address is in one of these networks; False for text that is not an address."""
    parsed = parse_address(address)
    return parsed is not None and any(parsed in network for network in networks)
