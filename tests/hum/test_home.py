"""What a home keeps for the programs of one machine."""

import socket
from pathlib import Path

from hum.process import home


def test_a_stand_in_keeps_its_port_for_later_runs(tmp_path: Path) -> None:
    port = home.stand_in_port(tmp_path, "signin")
    assert home.stand_in_port(tmp_path, "signin") == port
    assert home.stand_in_port(tmp_path, "carrier") != port
    assert home.stand_in_port(tmp_path, "signin") == port


def test_a_port_that_somebody_else_has_is_left_to_them(tmp_path: Path) -> None:
    port = home.stand_in_port(tmp_path, "signin")
    with socket.create_server(("127.0.0.1", port)):
        another = home.stand_in_port(tmp_path, "signin")
        assert another != port
    assert home.stand_in_port(tmp_path, "signin") == another
