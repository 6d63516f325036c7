"""The client of NATS, bounded: of its server it keeps at most so much unread, and goes to no other that it is told of."""

from typing import Any, Final

import nats.errors
from nats.aio.client import Client
from nats.protocol.parser import Parser

#: Bytes of a message that is not whole: the bus's own are far smaller, and a server's default is 1 MiB.
MOST_UNREAD: Final = 2 << 20


class BoundedParser(Parser):
    """A parser that refuses what it would have to keep too much of."""

    async def parse(self, data: bytes = b"") -> None:
        if len(self.buf) + len(data) > MOST_UNREAD:
            raise nats.errors.ProtocolError
        await super().parse(data)


class OneServerClient(Client):
    """A client of one server: the addresses of others are ours to choose, since they get our credentials."""

    def __init__(self) -> None:
        super().__init__()
        self._ps = BoundedParser(self)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        others = {"connect_urls", "ws_connect_urls"}
        known = {name: value for name, value in info.items() if name not in others}
        await super()._process_info(known, initial_connection)


class EncryptedClient(OneServerClient):
    """A client that sends nothing, in particular no password, to a server or an attacker that does not offer TLS."""

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and info.get("tls_required") is not True:
            raise nats.errors.Error("the server offers no TLS")
        await super()._process_info(info, initial_connection)


def client_of(url: str) -> OneServerClient:
    """Return a client for the server at this URL, encrypted if the URL is."""
    return EncryptedClient() if url.startswith("tls:") else OneServerClient()
