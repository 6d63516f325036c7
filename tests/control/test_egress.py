"""The rules by which a customer's URL is reached, as tables."""

from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.base.egress import EgressError, Policy, Reason, check_headers, parse_url
from hum import publicaddress
from hum.publicaddress import is_public

BLOCKED = """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 169.254.0.1
    169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1
    198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    100.100.100.200 168.63.129.16
    :: ::1 ::127.0.0.1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:a9fe:a9fe ::ffff:0:127.0.0.1
    64:ff9b::7f00:1 64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 64:ff9b:1::808:808 100::1 100:0:0:1::1
    2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1
    3fff::1 5f00::1 fc00::1 fd00::1 fd00:ec2::254 fd20:ce::254 fe80::1 febf::1 fec0::1 ff02::1 ff0e::1
    4000::1 1fff::1 ::ffff:100.64.0.1 ::ffff:0.0.0.0
""".split()  # fmt: skip
PUBLIC = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 172.15.255.255 172.32.0.0
    192.0.1.1 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255
    2606:4700:4700::1111 2a00:1450:4001:80b::200e 2001:4860:4860::8888 ::ffff:8.8.8.8 64:ff9b::808:808
""".split()  # fmt: skip


@pytest.mark.parametrize("text", BLOCKED)
def test_addresses_that_are_not_the_internets(text: str) -> None:
    assert not is_public(ip_address(text))
    assert "address that is not public" in (Policy().refusal("https", 443, [ip_address(text)]) or "")


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_of_the_internet(text: str) -> None:
    assert is_public(ip_address(text))
    assert Policy().refusal("https", 443, [ip_address(text)]) is None


@given(st.ip_addresses(v=4))
def test_ipv4_in_other_clothes_is_no_more_public_than_itself(address: object) -> None:
    number = int(ip_address(str(address)))
    for dressed in (0xFFFF << 32 | number, 0x64FF9B << 96 | number):
        assert is_public(IPv6Address(dressed)) <= is_public(ip_address(number))
    for dressed in (number, 0x2002 << 112 | number << 80, 0x20010000 << 96 | number ^ 0xFFFF_FFFF):
        assert not is_public(IPv6Address(dressed))


@given(st.ip_addresses())
def test_nothing_is_public_that_python_calls_private(address: object) -> None:
    """Python's own list differs from version to version: ours is never looser."""
    one = publicaddress.plain(ip_address(str(address)))
    if one.is_private or one.is_loopback or one.is_link_local or one.is_multicast or one.is_reserved:
        assert not is_public(one) or one in publicaddress.NAT64


def test_one_bad_address_is_enough() -> None:
    addresses = [ip_address("1.1.1.1"), ip_address("10.0.0.1"), ip_address("8.8.8.8")]
    assert Policy().refusal("https", 443, addresses) is not None


def test_what_an_operator_allows() -> None:
    policy = Policy((ip_network("10.1.0.0/16"), ip_network("169.254.0.0/16"), ip_network("fd00::/8")))
    for scheme, port, address in (("http", 80, "10.1.2.3"), ("https", 9000, "::ffff:10.1.2.3"), ("http", 1, "fd00::5")):
        assert policy.refusal(scheme, port, [ip_address(address)]) is None
    for address in ("10.2.0.1", "169.254.169.254", "::ffff:169.254.169.254", "169.254.170.2", "fd00:ec2::254"):
        assert policy.refusal("https", 443, [ip_address(address)]) is not None, address
    assert policy.refusal("http", 80, [ip_address("10.1.2.3"), ip_address("1.1.1.1")]) is not None


@pytest.mark.parametrize(
    ("scheme", "port"), [("http", 443), ("http", 80), ("https", 80), ("https", 5432), ("https", 22)]
)
def test_the_internet_is_reached_by_https_on_few_ports(scheme: str, port: int) -> None:
    assert Policy().refusal(scheme, port, [ip_address("1.1.1.1")]) is not None


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("https://example.com/a?b=c#d", "example.com", 443),
        ("https://EXAMPLE.com./", "example.com", 443),
        ("https://b\u00fccher.example/", "xn--bcher-kva.example", 443),
        ("https://a_b.example:8443/", "a_b.example", 8443),
        ("http://10.0.0.1:81/", "10.0.0.1", 81),
        ("https://[2606:4700::1]/", "2606:4700::1", 443),
        ("https://[::127.0.0.1]/", "::7f00:1", 443),
        ("https://\uff11\uff12\uff17.0.0.1/", "127.0.0.1", 443),
        ("https://localhost/", "localhost", 443),
    ],
)
def test_urls_that_are_read(text: str, host: str, port: int) -> None:
    target = parse_url(text)
    assert (target.host, target.port, target.url.fragment) == (host, port, "")
    assert (target.address is not None) == (host[0].isdigit() or ":" in host)
    assert str(target.url.raw_host) == host


@pytest.mark.parametrize(
    "text",
    [
        "", "example.com", "//example.com", "ftp://example.com/", "file:///etc/passwd", "gopher://a/", "javascript:1",
        "https:///x", "https:example.com", "https://", "https://user@example.com/", "https://user:secret@example.com/",
        "https://@example.com/", "https://:@example.com/", "https://a@b@example.com", "https://a b.example/",
        "https://example.com/\n", "\thttps://example.com", "https://example.com\\@10.0.0.1/", "https://example.com:0/",
        "https://example.com:99999/", "https://example.com:x/", "https://[::1%25eth0]/", "https://[fe80::1%eth0]/",
        "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://017700000001/", "https://127.1/",
        "https://0177.0.0.1/", "https://127.0.0.01/", "https://example.0x1/", "https://1.2.3.4.5/", "https://256.1.1.1/",
        "https://a..b/", "https://.example.com/", "https://example.com../", "https://-a.example/", "https://a-.example/",
        "https://[::1/", "https://[1.2.3.4]/", "https://[v1.x]/", f"https://{'a' * 64}.example/",
        f"https://{'a.' * 130}example/", "https://example.com/" + "x" * 2048, "https://exa%6Dple.com%2f/",
        "https://\u2460.0.0.1.2/", "https://127.0.0.1%00.example.com/",
    ],
)  # fmt: skip
def test_urls_that_are_not(text: str) -> None:
    with pytest.raises(EgressError) as error:
        parse_url(text)
    assert error.value.reason is Reason.INVALID
    assert str(error.value).startswith("The URL")


@given(st.text(max_size=40) | st.text(max_size=30).map(lambda text: f"https://{text}"))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        target = parse_url(text)
    except EgressError:
        return
    assert target.host and target.port and not target.url.user


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "internal"}, {"content-length": "3"}, {"Transfer-Encoding": "chunked"}, {"Connection": "close"},
        {"Proxy-Authorization": "x"}, {"Cookie": "a=b"}, {"X-A": "b\r\nX-C: d"}, {"X A": "b"}, {"": "b"},
        {"X-A": "b\0"}, {"X-A\n": "b"}, {"X-A": "x" * 5000}, {"X-A": "\u0100"}, {"Accept-Encoding": "br"},
    ],
)  # fmt: skip
def test_headers_that_would_break_a_request_open(headers: dict[str, str]) -> None:
    with pytest.raises(EgressError):
        check_headers(headers)


def test_headers_that_are_a_customers_own() -> None:
    check_headers({"Authorization": "Bearer abc", "X-HUM-Signature": "sha256=00", "Content-Type": "application/json"})
