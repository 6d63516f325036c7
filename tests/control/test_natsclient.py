"""What the client of NATS takes from its server."""

from urllib.parse import urlparse

import nats.errors
import pytest
from nats.aio.client import Srv

from control.natsclient import MOST_UNREAD, BoundedParser, EncryptedClient, OneServerClient, client_of


async def test_a_message_that_does_not_end_is_not_kept() -> None:
    parser = BoundedParser(OneServerClient())
    await parser.parse(b"MSG hum.x 1 2000000000\r\n" + b"x" * (MOST_UNREAD - 100))
    with pytest.raises(nats.errors.ProtocolError):
        await parser.parse(b"x" * 200)


async def test_a_server_names_no_others() -> None:
    client = OneServerClient()
    client._current_server = Srv(urlparse("nats://ours:4222"))
    await client._process_info({"connect_urls": ["theirs:4222"], "max_payload": 7})
    assert client._server_pool == []


def test_the_url_decides_on_encryption() -> None:
    assert type(client_of("tls://a:1")) is EncryptedClient
    assert type(client_of("nats://a:1")) is OneServerClient
