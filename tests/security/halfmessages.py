"""A client of a gRPC port that begins hundreds of long messages on one connection, sends as much of each as it may, and ends none.

`python -m tests.security.halfmessages PORT PATH SECONDS [KEY]` prints `begun` with the first of them, and ends after these seconds.
"""

import json
import select
import socket
import struct
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from tests.security.resetting import ACK, END_HEADERS, HEADERS, RST_STREAM, SETTINGS, frame, head, literal

DATA, PING, GOAWAY, WINDOW_UPDATE = 0, 6, 7, 8
END_STREAM, INITIAL_WINDOW_SIZE = 1, 4
STREAMS, FRAME_BYTES = 900, 16_384
#: What the length of each message says, and what is sent of all on one connection.
MESSAGE_BYTES, MOST_BYTES = 15 << 20, 600 << 20


@dataclass
class Connection:
    """One connection with its windows (RFC 9113, 5.2)."""

    socket: socket.socket
    block: bytes
    window: int = 65_535
    initial: int = 65_535
    #: Of each open stream.
    windows: dict[int, int] = field(default_factory=dict)
    #: Bytes that each open stream's message lacks; the last one never comes.
    missing: dict[int, int] = field(default_factory=dict)
    sent: int = 0
    next_stream: int = 1
    received: bytes = b""
    ended: int = 0

    def open(self) -> bytes:
        """Return the frames that begin a message on a new stream."""
        stream, begun = self.next_stream, b"\0" + struct.pack(">L", MESSAGE_BYTES)
        self.next_stream += 2
        self.windows[stream], self.missing[stream] = self.initial - len(begun), MESSAGE_BYTES
        self.window -= len(begun)
        return frame(HEADERS, END_HEADERS, stream, self.block) + frame(DATA, 0, stream, begun)

    def more(self) -> bytes:
        """Return a part of each message, as far as the windows permit."""
        frames = list[bytes]()
        for stream, window in self.windows.items():
            size = min(FRAME_BYTES, window, self.window, self.missing[stream] - 1, MOST_BYTES - self.sent)
            if size > 0:
                frames.append(frame(DATA, 0, stream, bytes(size)))
                self.windows[stream] -= size
                self.missing[stream] -= size
                self.window -= size
                self.sent += size
        return b"".join(frames)

    def read(self) -> bytes:
        """Read the frames that have come; return those that answer them.  Raises ConnectionError at the end."""
        answers = list[bytes]()
        if select.select([self.socket], [], [], 0.05)[0]:
            if not (part := self.socket.recv(1 << 16)):
                raise ConnectionResetError
            self.received += part
        while len(self.received) >= 9 and len(self.received) >= 9 + (size := int.from_bytes(self.received[:3], "big")):
            kind, flags, stream = self.received[3], self.received[4], int.from_bytes(self.received[5:9], "big")
            payload, self.received = self.received[9 : 9 + size], self.received[9 + size :]
            answers.append(self.answer(kind, flags, stream, payload))
        return b"".join(answers)

    def answer(self, kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        if kind == GOAWAY:
            raise ConnectionResetError
        if kind == SETTINGS and not flags & ACK:
            for name, value in struct.iter_unpack(">HL", payload):
                if name == INITIAL_WINDOW_SIZE:
                    self.windows = {each: window + value - self.initial for each, window in self.windows.items()}
                    self.initial = value
            return frame(SETTINGS, ACK, 0, b"")
        if kind == PING and not flags & ACK:
            return frame(PING, ACK, 0, payload)
        if kind == WINDOW_UPDATE and not stream:
            self.window += int.from_bytes(payload, "big")
        elif kind == WINDOW_UPDATE and stream in self.windows:
            self.windows[stream] += int.from_bytes(payload, "big")
        elif kind == RST_STREAM or (kind == HEADERS and flags & END_STREAM):
            self.ended += self.windows.pop(stream, None) is not None
        return b""


def flood(port: int, block: bytes, ends_s: float, counts: Counter[str]) -> None:
    """Begin messages until the time is over, or the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), 30) as connected:
        made = Connection(connected, block)
        connected.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b""))
        is_first = True
        try:
            while time.monotonic() < ends_s:
                begun = [made.open() for _ in range(STREAMS - len(made.windows)) if made.window > 5]
                connected.sendall(b"".join(begun) + made.more() + made.read())
                if is_first:
                    is_first = False
                    sys.stdout.write("begun\n")
                    sys.stdout.flush()
        finally:
            counts.update(begun=made.next_stream // 2, ended=made.ended, megabytes=made.sent >> 20)


def main(port: str, path: str, seconds: str, key: str = "") -> None:
    block = head(path) + (literal("authorization", f"Bearer {key}") if key else b"")
    ends_s, counts = time.monotonic() + float(seconds), Counter[str]()
    while time.monotonic() < ends_s:
        with suppress(OSError):
            flood(int(port), block, ends_s, counts)
    sys.stdout.write(json.dumps(counts) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
