"""Sockets and networks, as settings write them.  Pure."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

INHERITED = "fd"  # the host of a `Listen` whose port is the number of an inherited descriptor


class Listen(NamedTuple):
    """A socket to listen on; port 0 asks the system for one, host `fd` is a socket that this process inherited."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def plus(self, count: int) -> "Listen":
        """The socket so many ports further on; of port 0, port 0."""
        return self._replace(port=self.port + count) if self.port else self


def parse_listen(text: str) -> Listen:
    """Read `host:port`, with an IPv6 host in brackets, or `fd:number`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is not host:port, for example 127.0.0.1:8080")
    return Listen(host.strip("[]"), int(port))


def parse_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read CIDRs, separated by commas or spaces."""
    networks = []
    for word in text.replace(",", " ").split():
        try:
            network = ip_network(word)
        except ValueError as error:
            raise ValueError(f"{word!r} is not a network, for example 10.1.0.0/16: {error}") from error
        if network.prefixlen == 0:
            raise ValueError(f"{word!r} covers every address; list only the networks that are needed")
        networks.append(network)
    return tuple(networks)


def base_url(url: str, *schemes: str) -> str:
    """The URL without a trailing slash.  Raises ValueError unless it has one of these schemes and a host."""
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is not a URL like {schemes[-1]}://hum.example.com")
    return url.rstrip("/")


def shown_url(url: str) -> str:
    """The host and path of a URL, without what is secret in it; of what isn't one, nothing: it may be all secret."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else "an address that is not a URL"
