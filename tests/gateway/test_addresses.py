"""Who asks, behind any number of proxies."""

import pytest

from gateway.addresses import client_of, is_in
from hum import rpc
from hum.network import limit_key, parse_networks

TRUSTED = parse_networks("127.0.0.0/8, 10.0.0.0/8, ::1/128")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.1", "", "198.51.100.1"),
        ("198.51.100.1", "203.0.113.7", "198.51.100.1"),  # no proxy of ours: it may say what it likes
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.7", "203.0.113.7"),  # the client wrote the left one
        ("10.0.0.1", "1.1.1.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),  # two proxies
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),  # a client within
        ("10.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::/64"),
        ("10.0.0.1", "203.0.113.7, unknown", "10.0.0.1"),  # what is no address ends the list
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("::1", "203.0.113.7", "203.0.113.7"),
        ("", "203.0.113.7", "unknown"),
        ("10.0.0.1", ", ".join(["10.0.0.1"] * 100_000), "10.0.0.1"),
    ],
)
def test_the_client_is_whom_trusted_proxies_saw(peer: str, forwarded: str, client: str) -> None:
    assert client_of(peer, forwarded, TRUSTED) == client


def test_an_ipv6_network_counts_as_one() -> None:
    assert limit_key("2001:db8:1:2:3:4:5:6") == limit_key("2001:db8:1:2::1") != limit_key("2001:db8:1:3::1")
    assert limit_key("::ffff:192.0.2.1") == "192.0.2.1"
    assert not is_in("nonsense", TRUSTED)


def test_a_peer_of_grpc_is_counted_as_a_client_is() -> None:
    assert rpc.host_of("ipv6:%5B2001:db8:1:2::7%5D:50123") == rpc.host_of("ipv6:[2001:db8:1:2:3::1]:50123")
    assert rpc.host_of("ipv4:192.0.2.1:50123") == "192.0.2.1"
    assert rpc.host_of("unix:/run/hum") == "unix:/run/hum"
