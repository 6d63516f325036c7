"""The channel between two media processes of one machine and user: small ordered messages, with descriptors.

Only its user can open the socket (0600), and each side checks the other's user id with the kernel.  A call's state is sent as a
memory file's descriptor, so messages are always small.  Each side trusts the other's messages: it is the same program.
"""

import asyncio
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

import msgspec

from hum.process import private

MAX_BYTES = 64 << 10
MAX_DESCRIPTORS = 8
MAX_QUEUED = 1_000
BACKLOG = 4
#: How long to wait for a process to exit after its sockets have closed: the kernel closes those of a killed process first.
DYING_SECONDS = 0.5
_COUNT = struct.Struct("i")
_CREDENTIALS = struct.Struct("3i")


class PeerLost(Exception):  # noqa: N818 - it says what happened
    """The other process has died, has violated the protocol, or belongs to another user."""


class _Message(msgspec.Struct, frozen=True, tag_field="is"):
    """A message, with its tag.

    The tags of messages to and from processes with another version of the state never change: hello, listener, serving, over.
    """


class Hello(_Message, frozen=True, tag="hello"):
    """From the successor: the version of its snapshots, and the oldest one that it understands."""

    version: int
    since: int = 0  # those that send none are older than all that can be understood


class PredecessorListener(_Message, frozen=True, tag="listener"):
    """From the predecessor: its node name, and its listening socket as the descriptor."""

    node: str


class Serving(_Message, frozen=True, tag="serving"):
    """From the successor: it accepts connections and receives calls."""


class OfferedCall(_Message, frozen=True, tag="call"):
    """From the predecessor: a suspended call.  Descriptors: state, carrier's socket, model's socket if `has_socket`, files."""

    number: int
    stream_id: str
    has_socket: bool


class Ready(_Message, frozen=True, tag="ready"):
    """From the successor: it is ready to continue the call."""

    number: int


class Refused(_Message, frozen=True, tag="refused"):
    """From the successor: it can't continue the call, and has dropped its copy."""

    number: int
    reason: str


class Released(_Message, frozen=True, tag="released"):
    """From the predecessor: the call is the successor's, which begins to read its sockets."""

    number: int


class Retained(_Message, frozen=True, tag="retained"):
    """From the predecessor: it continues the call itself."""

    number: int


class Command(_Message, frozen=True, tag="command"):
    """From the predecessor: a CallCommand for a call that it has handed over."""

    command: bytes  # base64 on the wire


class Stopping(_Message, frozen=True, tag="over"):
    """From the predecessor: it is stopping.  It drains its remaining calls, or hands them over later."""


Message = (
    Hello | PredecessorListener | Serving | OfferedCall | Ready | Refused | Released | Retained | Command | Stopping
)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Message).decode


class Channel:
    """One end of the channel."""

    def __init__(self, connection: socket.socket) -> None:
        """Take over the connection.  Raises PeerLost if the other process belongs to another user."""
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
        except OSError:  # it is dead, or in another container
            self._peer = -1
        self._received: asyncio.Queue[tuple[Message, list[int]] | None] = asyncio.Queue(MAX_QUEUED)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection.fileno(), self._read)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send a message without blocking; the descriptors stay the caller's.  Raises PeerLost."""
        try:
            socket.send_fds(self._socket, [_encode(message)], descriptors)
        # Also a full buffer: a peer that does not read counts as lost.
        except OSError as error:
            raise PeerLost(str(error)) from error

    def unread_bytes(self) -> int:
        """Return how much memory the messages take up that the other process has not read yet.  Raises PeerLost."""
        try:
            (unread,) = _COUNT.unpack(fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(_COUNT.size)))
        except OSError as error:
            raise PeerLost(str(error)) from error
        return int(unread)

    async def receive(self) -> tuple[Message, list[int]]:
        """Return the next message and its descriptors, which the caller must close.  Raises PeerLost."""
        item = await self._received.get()
        if item is None:
            self._received.put_nowait(None)  # for the next `receive`
            raise PeerLost("the other process has closed the connection")
        return item

    async def is_dead(self) -> bool:
        """Return whether the other process exits, after its connection has closed; True also if that can't be determined."""
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
        """Close this end and drop the messages that were not received; `receive` raises PeerLost.  May be called repeatedly."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
        if self._peer >= 0:
            os.close(self._peer)
            self._peer = -1
        while not self._received.empty():
            self._drop_next()
        self._received.put_nowait(None)

    def _read(self) -> None:
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(
                    self._socket, MAX_BYTES, MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", []
            try:
                message = _decode(data) if data else None
            except msgspec.DecodeError:
                message = None
            # The consumer does not drain the queue: drop a message to make room for the end marker, and stop reading.
            if self._received.full():
                self._drop_next()
                message = None
            if message is None:
                close_all(descriptors)
                self._loop.remove_reader(self._socket.fileno())
                self._received.put_nowait(None)
                return
            self._received.put_nowait((message, descriptors))

    def _drop_next(self) -> None:
        """Drop the oldest message that was not received, and close its descriptors."""
        if (item := self._received.get_nowait()) is not None:
            close_all(item[1])


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)


def listen_at(path: Path) -> socket.socket:
    """Return a socket that listens for successors at `path`, in place of any earlier one.  Raises OSError."""
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
    """Return a connection to the process that listens at `path`, or None if none does."""
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
    """Yield a short name for `path`: the system limits a socket's name to 107 bytes.  Raises OSError."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def to_memory(data: bytes) -> int:
    """Return the descriptor of a memory file with this content.  Raises OSError."""
    descriptor = os.memfd_create("hum-call", os.MFD_CLOEXEC)
    with FileIO(descriptor, "wb", closefd=False) as file:
        file.write(data)
    return descriptor


def read_memory(descriptor: int) -> bytes:
    """Return the content of a memory file.  Raises OSError."""
    with FileIO(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return file.read()
