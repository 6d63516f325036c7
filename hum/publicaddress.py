"""Which IP addresses are on the public internet.  Pure.

Addresses are compared as numbers: `::ffff:7f00:1` and `127.0.0.1` are the same.  Sources: IANA's special-purpose address
registries; RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo).
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Networks outside the public internet.
SPECIAL_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
GLOBAL_V6 = IPv6Network("2000::/3")
#: Networks in 2000::/3 outside the public internet.
SPECIAL_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",  # documentation
    )
)
NAT64 = IPv6Network("64:ff9b::/96")
#: Networks that no operator can allow, not even as part of a larger network: metadata services with the machine's own
#: credentials, and unspecified, multicast and broadcast addresses.
NEVER = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "169.254.169.254/32",  # AWS, Google, Azure, DigitalOcean, ...
        "169.254.170.2/32",  # AWS: a container's credentials
        "169.254.170.23/32",
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure's host, a public address
        "192.0.0.192/32",  # Oracle
        "224.0.0.0/4",
        "255.255.255.255/32",
        "::/128",
        "fd00:ec2::254/128",  # AWS
        "fd20:ce::254/128",  # Google
        "ff00::/8",
    )
)


def parse_address(text: str) -> Address | None:
    """Parse an address as the resolver writes it, without its zone; return None for any other text."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def plain(address: Address) -> Address:
    """Return the address of the actual connection: for an IPv4-mapped IPv6 address, the IPv4 address."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def is_public(address: Address) -> bool:
    """Tell whether an address is on the public internet."""
    address = plain(address)
    if isinstance(address, IPv6Address) and address in NAT64:
        address = IPv4Address(int(address) & 0xFFFF_FFFF)
    if any(address in network for network in NEVER):
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in SPECIAL_V4)
    return address in GLOBAL_V6 and not any(address in network for network in SPECIAL_V6)
