"""Where the parts of `hum up` listen."""

import socket

import pytest

from hum.cli import platform


def test_a_free_port_is_none_that_a_connection_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    port = platform.free_port("127.0.0.1")
    assert 20_000 <= port < 32_768
    with socket.create_server(("127.0.0.1", port)):
        monkeypatch.setattr(platform.random, "sample", lambda *_: [port])
        with pytest.raises(SystemExit, match="no free port"):
            platform.free_port("127.0.0.1")
    assert platform.free_port("127.0.0.1") == port
