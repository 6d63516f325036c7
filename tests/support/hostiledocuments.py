"""A grammar of documents that cost a parser more than their bytes: each is one little thing, as often as fits."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass

#: Members of a JSON list, each with its comma.
MEMBERS = {
    "empty objects": b"{},",
    "empty lists": b"[],",
    "empty strings": b'"",',
    "numbers": b"1,",
    "fractions": b"0.1,",
    "nulls": b"null,",
    "small objects": b'{"a":1},',
    "typed objects": b'{"type":"text"},',
    "resources": b'{"type":"resource","resource":{}},',
    "long numbers": b"9" * 4200 + b",",
    "escapes": b'"' + b"\\u0041" * 100 + b'",',
    "half surrogates": b'"\\ud800",',
}
#: Members of a JSON object; `%d` is counted.
FIELDS = {"members": b'"%d":0,', "nested members": b'"%d":{},', "repeated members": b'"a":0,'}
RAW = {
    "deep lists": b"[",
    "deep objects": b'{"a":',
    "quotes": b'"',
    "backslashes": b'"\\',
    "no UTF-8": b"\xff",
    "zeros": b"\0",
    "line ends": b"\r\n",
    "spaces": b" ",
    "digits": b"9",
    "signs": b"+-(",
    "pairs": b"a=1&",
    "empty pairs": b"&",
    "percents": b"%25=%00&",
    "commas": b",",
    "quoted cells": b'"",',
    "rows": b"1\n",
    "tags": b"<a>",
    "elements": b"<a/>",
    "entities": b"&lt;",
    "card digits": b"4 1",
    "letters": b"a",
    "brackets": b"{{",
}
PING = b'data: {"jsonrpc":"2.0","id":1,"method":"ping"}\n\n'
STREAMS = {
    "pings": PING,
    "empty events": b"data:\n\n",
    "lines of data": b"data: 1\n",
    "comments": b":\n\n",
    "carriage returns": b"\r",
    "answers": b'data: {"jsonrpc":"2.0","id":1,"result":{"content":[{}]}}\n\n',
}
ENTITY_BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "'
    + b"b" * 1000
    + b'">'
    + b"".join(b'<!ENTITY %c "%s">' % (name, b"&%c;" % (name - 1) * 10) for name in range(ord("c"), ord("j")))
    + b"]><a>&i;</a>"
)


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands before and after a document's members, so that they land where a parser looks into them."""

    name: str
    before: bytes = b""
    after: bytes = b""


def _fill(part: bytes, size: int) -> bytes:
    if b"%d" not in part:
        return part * (size // len(part))
    parts, length, number = list[bytes](), 0, 0
    while length < size:
        parts.append(part % number)
        length, number = length + len(parts[-1]), number + 1
    return b"".join(parts)


def json_documents(size: int, frames: list[Frame]) -> Iterator[tuple[str, bytes]]:
    """Yield named documents of about `size` bytes, most of them JSON."""
    for frame in frames:
        for name, part in MEMBERS.items():
            yield f"{frame.name}: {name}", frame.before + b"[" + _fill(part, size)[:-1] + b"]" + frame.after
        for name, part in FIELDS.items():
            yield f"{frame.name}: {name}", frame.before + b"{" + _fill(part, size)[:-1] + b"}" + frame.after
        yield f"{frame.name}: a long string", frame.before + b'"' + b"a" * size + b'"' + frame.after
    for name in ("deep lists", "deep objects", "quotes", "backslashes", "no UTF-8", "zeros", "digits"):
        yield name, _fill(RAW[name], size)


def raw_documents(size: int) -> Iterator[tuple[str, bytes]]:
    for name, part in RAW.items():
        yield name, _fill(part, size)


def streams(size: int) -> Iterator[tuple[str, bytes]]:
    for name, part in STREAMS.items():
        yield name, _fill(part, size)
    yield "one event without an end", b"data: " + b"a" * size


def sheets(size: int) -> Iterator[tuple[str, bytes]]:
    """Yield CSV, with a header that the reader knows."""
    for name in ("commas", "quoted cells", "rows", "quotes", "line ends", "letters", "no UTF-8", "zeros"):
        yield name, b"phone_e164,name\n" + _fill(RAW[name], size)
    yield "phone numbers", b"phone_e164,name\n" + _fill(b"+13175550199,a\n", size)


def xml_documents(size: int) -> Iterator[tuple[str, bytes]]:
    for name in ("tags", "elements", "entities", "no UTF-8"):
        yield name, b"<a>" + _fill(RAW[name], size) + b"</a>"
    yield "attributes", b"<a " + _fill(b'a%d="" ', size) + b"/>"
    yield "an entity bomb", ENTITY_BOMB


def forms(size: int) -> Iterator[tuple[str, bytes]]:
    """Yield multipart forms with the boundary `x`."""
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    yield "parts", _fill(part, size) + b"--x--\r\n"
    yield "headers", b"--x\r\n" + _fill(b"a: b\r\n", size)
    yield "a long header", b"--x\r\n" + b"a" * size
    yield "half boundaries", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + _fill(b"\r\n--", size)
    yield "dashes", b"--x" + b"-" * size


def packed(size: int) -> Iterator[tuple[str, bytes]]:
    """Yield gzip streams."""
    yield "a bomb", gzip.compress(b"\0" * (size * 1000))[:size]
    yield "empty members", gzip.compress(b"") * (size // 20)
    yield "no gzip", b"\x1f\x8b" * (size // 2)


def offers() -> Iterator[tuple[str, bytes]]:
    """Yield SDP offers of as many and as long lines as our checks let through, each with one of a kind that aiortc reads."""
    head = [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111" + " 111" * 200,
        "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:a",
        "a=ice-pwd:a",
        "a=fingerprint:sha-256 " + ":".join(["AA"] * 32),
        "a=setup:actpass",
        "a=mid:0",
        "a=rtpmap:111 opus/48000/2",
    ]
    lines = {
        "candidates": "a=candidate:1 1 udp 1 127.0.0.1 1 typ host" + " a b" * 230,
        "formats": "a=rtpmap:111 opus/48000/" + "2" * 900,
        "parameters": "a=fmtp:111 " + "a=1;" * 240,
        "feedback": "a=rtcp-fb:111 " + "a " * 480,
        "sources": "a=ssrc:1 cname:" + "a" * 900,
        "groups": "a=ssrc-group:FID " + "1 " * 480,
        "extensions": "a=extmap:1 " + "a" * 900,
        "attributes": "a=" + "a:" * 480,
        "digits": "a=ssrc:" + "9" * 900 + " cname:a",
        "bundles": "a=group:BUNDLE " + "0 " * 480,
        "bandwidths": "b=AS:" + "9" * 900,
    }
    for name, line in lines.items():
        count = 50 if name == "candidates" else 380
        yield f"an offer of {name}", "\r\n".join([*head, *[line] * count, ""]).encode()


def templates(size: int) -> Iterator[tuple[str, bytes]]:
    """Yield templates of Jinja2: many parts, deep ones, loops in loops, long outputs and numbers."""
    parts = {
        "outputs": b"{{ response }}",
        "names": b"{{ a.b.c.d }}",
        "filters": b"{{ response|join('a')|length }}",
        "opened braces": b"{{",
        "opened blocks": b"{% for a in response %}",
        "whitespace": b"{%   ",
        "comments": b"{# a",
        "strings": b'{{ "a',
        "digits": b"9",
    }
    for name, part in parts.items():
        yield name, _fill(part, size)
    for depth in (2, 3):
        loops = b"".join(b"{%% for a%d in response %%}" % n for n in range(depth))
        yield f"loops, {depth} deep", loops + b"{{ response }}" + b"{% endfor %}" * depth
    yield "a range", b"{% for n in range(1000000000) %}a{% endfor %}"
    yield "a product", b"{{ 'a' * 1000000000 }}"
    yield "a power", b"{{ 9 ** 9 ** 9 }}"
    yield "a format", b"{{ '%1000000000d' % 1 }}"
    yield "parentheses", b"{{ " + b"(" * (size // 3) + b"1" + b")" * (size // 3) + b" }}"
    yield "a long number", b"{{ " + b"9" * (size - 6) + b" }}"
    yield "additions", b"{{ 1" + _fill(b"+1", size - 10) + b" }}"
