"""The network itself is as slow, and as dead, as it says."""

import re
import subprocess

import pytest

from tests.chaos.net import Network
from tests.support.present import present

pytestmark = pytest.mark.nodes
PONG = """
import socket, sys, time
with socket.create_connection((sys.argv[1], 7000), timeout=float(sys.argv[2])) as far:
    far.settimeout(float(sys.argv[2]))
    for _ in range(2):
        began = time.monotonic()
        far.sendall(b"ping")
        assert far.recv(4) == b"ping"
print((time.monotonic() - began) * 1000)
"""
ECHO = """
import socket
with socket.create_server(("0.0.0.0", 7000)) as server:
    print("ready", flush=True)
    while True:
        near, _ = server.accept()
        while data := near.recv(100):
            near.sendall(data)
"""


def round_trip_ms(network: Network, source: str, target: str, patience_seconds: float = 5) -> float:
    command = ["python3", "-c", PONG, network.address(target), str(patience_seconds)]
    try:
        return float(network.run(source, command, capture_output=True, text=True).stdout)
    except subprocess.CalledProcessError as error:
        assert re.search(r"TimeoutError|timed out|No route to host", error.stderr), error.stderr
        return float("inf")


def reaches(network: Network, source: str, target: str) -> bool:
    """Whether it does, at one of three tries: who was looked for in vain may be looked for anew only after a while."""
    return any(round_trip_ms(network, source, target) < float("inf") for _ in range(3))


def test_machines_are_far_apart_cut_off_and_healed(machines: Network) -> None:
    network = machines
    for name in "ab":
        echo = network.start(name, ["python3", "-c", ECHO], stdout=subprocess.PIPE)
        assert present(echo.stdout).readline() == b"ready\n"
    near_ms = round_trip_ms(network, "c", "a")
    network.slow(delay_ms=50)
    assert 100 <= round_trip_ms(network, "c", "a") < 100 + 20 * near_ms + 100
    network.slow()
    network.cut("a")
    assert round_trip_ms(network, "c", "a", 1) == float("inf")
    assert reaches(network, "c", "b")
    network.heal()
    assert reaches(network, "c", "a")
    network.part("a", "b")
    assert round_trip_ms(network, "a", "b", 1) == float("inf")
    assert reaches(network, "c", "a") and reaches(network, "c", "b")
    network.heal()
    assert reaches(network, "a", "b")
    network.power_off("b")
    assert round_trip_ms(network, "c", "b", 1) == float("inf")
    assert reaches(network, "c", "a")
