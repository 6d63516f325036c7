"""Between two media processes of one machine and user: small messages in order, with descriptors.

The socket can be opened by its user only (0600), and each side asks the kernel who the other is.  A call's state travels as a
descriptor of memory, so that a message is always small.  What one side sends, the other believes: it is the same program.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

import msgspec

from hum import private

MAX_BYTES = 64 << 10
MAX_DESCRIPTORS = 8
MAX_QUEUED = 1_000
BACKLOG = 4
#: A killed process's sockets are closed before it is seen to be dead.
DYING_SECONDS = 0.5
_CREDENTIALS = struct.Struct("3i")


class PeerLost(Exception):  # noqa: N818 - it says what happened
    """The other process is gone, or is none of ours."""


class _Message(msgspec.Struct, frozen=True, tag_field="is"):
    pass


class Hello(_Message, frozen=True, tag="hello"):
    """The successor: what states it understands."""

    version: int


class Listener(_Message, frozen=True, tag="listener"):
    """The predecessor: its name, and its listening socket."""

    node: str


class Serving(_Message, frozen=True, tag="serving"):
    """The successor accepts connections, and takes calls."""


class Call(_Message, frozen=True, tag="call"):
    """The predecessor: a call, which it holds.  Descriptors: state, carrier, model's socket if it comes along, files."""

    number: int
    stream_id: str
    has_socket: bool


class Runs(_Message, frozen=True, tag="runs"):
    """The successor could go on with the call at once."""

    number: int


class Refused(_Message, frozen=True, tag="refused"):
    """The successor can't, and has dropped it."""

    number: int
    reason: str


class Yours(_Message, frozen=True, tag="yours"):
    """The predecessor has let go of the call."""

    number: int


class Kept(_Message, frozen=True, tag="kept"):
    """The predecessor goes on with the call itself."""

    number: int


class Command(_Message, frozen=True, tag="command"):
    """The predecessor: a CallCommand for a call that it had."""

    command: bytes  # base64 on the wire


class Over(_Message, frozen=True, tag="over"):
    """The predecessor leaves: what it still has, it keeps, or hands over later."""


Message = Hello | Listener | Serving | Call | Runs | Refused | Yours | Kept | Command | Over
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Message).decode


class Channel:
    """One end."""

    def __init__(self, connection: socket.socket) -> None:
        """Takes the connection over.  Raises Gone if the other side is another user's."""
        self._socket = connection
        connection.setblocking(False)
        pid, uid, _ = _CREDENTIALS.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        if uid != os.geteuid():
            connection.close()
            raise PeerLost(f"the other process belongs to user {uid}")
        try:
            self._peer = os.pidfd_open(pid)
        except OSError:  # it is dead, or in a container of its own
            self._peer = -1
        self._received: asyncio.Queue[tuple[Message, list[int]] | None] = asyncio.Queue(MAX_QUEUED)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection.fileno(), self._read)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Never waits; the descriptors stay the caller's.  Raises Gone."""
        try:
            socket.send_fds(self._socket, [_encode(message)], descriptors)
        except OSError as error:  # one that does not read is as good as gone
            raise PeerLost(str(error)) from error

    async def receive(self) -> tuple[Message, list[int]]:
        """The next message, and descriptors that are the caller's.  Raises Gone."""
        item = await self._received.get()
        if item is None:
            self._received.put_nowait(None)  # for whoever asks again
            raise PeerLost("the other process has closed the connection")
        return item

    async def is_dead(self) -> bool:
        """Whether the other process is dead or dying, now that the connection is closed; True also if that can't be known."""
        if self._peer < 0:
            return True
        ended = asyncio.Event()
        self._loop.add_reader(self._peer, ended.set)
        try:
            async with asyncio.timeout(DYING_SECONDS):
                await ended.wait()
        except TimeoutError:
            return False
        finally:
            self._loop.remove_reader(self._peer)
        return True

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
        if self._peer >= 0:
            os.close(self._peer)
            self._peer = -1

    def _read(self) -> None:
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(
                    self._socket, MAX_BYTES, MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
                )
                message = _decode(data) if data else None
            except BlockingIOError:
                return
            except (OSError, msgspec.DecodeError):
                message = None
            if self._received.full():  # nobody takes what comes
                self._received.get_nowait()
                message = None
            if message is None:
                self._loop.remove_reader(self._socket.fileno())
                self._received.put_nowait(None)
                return
            self._received.put_nowait((message, descriptors))


def close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)


def listen_at(path: Path) -> socket.socket:
    """A socket that waits for a successor there, in place of whoever did.  Raises OSError."""
    own = path.with_name(f"{path.name}.{os.getpid()}")
    own.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with _short_name(own) as name:
            listening.bind(name)
        own.chmod(private.FILE)
        listening.listen(BACKLOG)
        listening.setblocking(False)
        own.replace(path)
    except OSError:
        listening.close()
        raise
    return listening


def connect_to(path: Path) -> socket.socket | None:
    """A connection to the process that waits there; None if none does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with _short_name(path) as name:
            connection.connect(name)
    except OSError:
        connection.close()
        return None
    return connection


@contextmanager
def _short_name(path: Path) -> Iterator[str]:
    """The same place by a name that is short enough for a socket, of which the system takes 107 bytes.  Raises OSError."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def to_memory(data: bytes) -> int:
    """A descriptor of memory that holds this.  Raises OSError."""
    descriptor = os.memfd_create("hum-call", os.MFD_CLOEXEC)
    with FileIO(descriptor, "wb", closefd=False) as file:
        file.write(data)
    return descriptor


def read_memory(descriptor: int) -> bytes:
    """What it holds.  Raises OSError."""
    with FileIO(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return file.read()
