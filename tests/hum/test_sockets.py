"""Sockets that `hum up` opens and hands on."""

import asyncio
import socket

import pytest

from hum.network import SocketAddress, parse_listen
from hum.process import sockets


def test_a_free_port_is_none_that_a_connection_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    port = sockets.free_port("127.0.0.1")
    assert 20_000 <= port < 32_768
    with socket.create_server(("127.0.0.1", port)):
        monkeypatch.setattr(sockets, "LISTENING_PORTS", range(port, port + 1))
        with pytest.raises(SystemExit, match="no free port"):
            sockets.free_port("127.0.0.1")
        monkeypatch.setattr(sockets, "LISTENING_PORTS", range(port - 1, port + 1))
        with pytest.raises(SystemExit, match="no free port"):  # the second of them is taken
            sockets.free_port("127.0.0.1", 2)
    monkeypatch.setattr(sockets, "LISTENING_PORTS", range(port, port + 1))
    assert sockets.free_port("127.0.0.1") == port


def test_a_port_is_not_chosen_again_before_it_is_listened_on() -> None:
    chosen = [sockets.free_port("127.0.0.1", count) for count in (1, 1, 3, 1)]
    taken = {*chosen, chosen[2] + 1, chosen[2] + 2}
    assert len(taken) == 6


def test_an_inherited_socket_is_the_same_one() -> None:
    with sockets.bind_socket(SocketAddress("127.0.0.1", 0), shared=True) as opened:
        opened.listen()
        inherited = sockets.listening_socket(f"fd:{opened.fileno()}", "HUM_MEDIA_LISTEN")
        assert inherited.getsockname() == opened.getsockname()
        inherited.detach()


def test_a_socket_that_was_not_inherited_is_a_sentence() -> None:
    with pytest.raises(SystemExit, match=r"can't listen on fd:4000 \(HUM_MEDIA_LISTEN\)"):
        sockets.listening_socket("fd:4000", "HUM_MEDIA_LISTEN")


def test_a_port_is_shared_only_if_both_say_so() -> None:
    with sockets.bind_socket(SocketAddress("127.0.0.1", 0), shared=True) as first:
        first.listen()
        listen = SocketAddress(*first.getsockname())
        assert not sockets.is_free(listen)
        sockets.bind_socket(listen, shared=True).close()
        with pytest.raises(SystemExit, match="Address already in use"):
            sockets.listening_socket(str(listen), "HUM_GATEWAY_LISTEN")
    assert str(parse_listen("fd:3")) == "fd:3"


async def test_what_connects_is_answered_at_once() -> None:
    """Without TCP_NODELAY a second small write waits for the client's delayed acknowledgement, 40 ms."""
    writers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    made = sockets.listening_socket("127.0.0.1:0", "HUM_GATEWAY_LISTEN")
    async with await asyncio.start_server(lambda _, writer: writers.put_nowait(writer), sock=made):
        _, client = await asyncio.open_connection(*made.getsockname())
        accepted = (await writers.get()).get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        client.close()
