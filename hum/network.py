"""Addresses of sockets and networks, in the formats of settings.  Pure."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

IPv6_PREFIX = 64  # the smallest block of one customer
#: The host of a `SocketAddress` for an inherited descriptor, which has the descriptor's number as its port.
INHERITED = "fd"


class SocketAddress(NamedTuple):
    """A socket to listen on; port 0 means any free port, host `fd` a socket that this process inherited."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def plus(self, count: int) -> "SocketAddress":
        """Return the address with its port increased by `count`; port 0 stays 0."""
        return self._replace(port=self.port + count) if self.port else self


def parse_listen(text: str) -> SocketAddress:
    """Parse `host:port`, with an IPv6 host in brackets, or `fd:number`.  Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is not host:port, for example 127.0.0.1:8080")
    return SocketAddress(host.strip("[]"), int(port))


def parse_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Parse CIDRs, separated by commas or spaces.  Raises ValueError."""
    networks = []
    for cidr in text.replace(",", " ").split():
        try:
            network = ip_network(cidr)
        except ValueError as error:
            raise ValueError(f"{cidr!r} is not a network, for example 10.1.0.0/16: {error}") from error
        if network.prefixlen == 0:
            raise ValueError(f"{cidr!r} covers every address; list only the networks that are needed")
        networks.append(network)
    return tuple(networks)


def limit_key(address: str) -> str:
    """Return the key by which limits count an address: the /64 of an IPv6 address, IPv4 for an IPv4-mapped one."""
    parsed = parse_address(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, IPv6_PREFIX), strict=False))
    return str(parsed or "unknown")


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an address, with or without a port; return None if it is not one."""
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


def base_url(url: str, *schemes: str) -> str:
    """Return the URL without a trailing slash.  Raises ValueError unless it has one of these schemes and a host."""
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is not a URL like {schemes[-1]}://hum.example.com")
    return url.rstrip("/")


def database_hosts(url: str) -> list[SocketAddress]:
    """Return the hosts in a URL of PostgreSQL, from its authority or `?host=`; port 0 if it names none.

    Raises ValueError if they can't be parsed.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    authority = parts.netloc.rpartition("@")[2]
    if authority:
        return [_database_host(host) for host in authority.split(",")]
    hosts, ports = (",".join(query.get(name, [])).split(",") for name in ("host", "port"))
    if hosts == [""]:
        return []
    if len(ports) not in {1, len(hosts)}:
        raise ValueError(f"{len(hosts)} hosts have {len(ports)} ports; name one port, or one for each")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return [SocketAddress(host, _port(port)) for host, port in zip(hosts, ports, strict=True)]


def _database_host(text: str) -> SocketAddress:
    host, has_port, port = text.rpartition(":")
    if not has_port or text.endswith("]"):  # IPv6 without a port
        host, port = text, ""
    if not host:
        raise ValueError("a host is missing; separate several hosts by single commas")
    return SocketAddress(unquote(host.strip("[]")), _port(port))


def _port(text: str) -> int:
    if text and not (text.isdecimal() and 0 < int(text) <= 65535):
        raise ValueError(f"{text!r} is not a port")
    return int(text or 0)


def redacted_url(url: str) -> str:
    """Return the host and path of a URL, without its secrets; nothing of a text that is no URL, as it may be a secret."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else "an address that is not a URL"
