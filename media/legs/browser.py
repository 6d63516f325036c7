"""The caller's side of a call that comes from a browser: RTP in, RTP out, on the process's own clock.

    network ─▶ Jitter ─▶ Audio, every 20 ms ─▶ call ─▶ Sending ─▶ Opus, every 20 ms ─▶ network

The call's clock counts these ticks.  What is sent with one is played during the 20 ms after it, so the ledger's position is
what the browser was really sent; its network and its own jitter buffer delay that, and take nothing away.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from hum.settings import MediaSettings
from media.core.audio import FRAME_MS
from media.core.leg import Audio, HangUp, Mark, Started, Stopped, ToLeg
from media.leg import Closing
from media.legs.jitter import JitterBuffer
from media.legs.opus import FRAME_TICKS, Decoder, Encoder
from media.legs.sending import PlayoutQueue
from media.shell import Shell

#: The most frames that a process which did not run sends at once.  That is more than the call keeps queued here, so whatever the
#: ledger took to be played meanwhile is sent; beyond it there is a gap.
MAX_CATCH_UP_FRAMES = 25
UNREACHABLE = HangUp("connection_lost")


class BrowserConnection(Protocol):
    """The connection to the browser, which is up."""

    def send(self, packet: bytes, stamp: int) -> None:
        """Send a packet with this time on the RTP clock."""

    def hang_up(self) -> None:
        """Close it; nothing is sent or received any more."""


class BrowserLeg:
    """One browser's call, from when its connection stands."""

    def __init__(self, connection: BrowserConnection, settings: MediaSettings, now_ms: float) -> None:
        self._connection, self._tail_ms = connection, settings.browser_tail_ms
        self._shell: Shell | None = None
        self._jitter = JitterBuffer(Decoder().decode, settings.browser_jitter_ms, settings.browser_max_jitter_ms)
        self._queue, self._encoder = PlayoutQueue(), Encoder()
        self._began_ms = self._due_ms = now_ms
        self._closes_ms = float("inf")
        self.is_open = True

    def begin(self, shell: Shell, call_id: str, stream_id: str, token: str) -> None:
        self._shell = shell
        shell.from_leg(Started(stream_id, call_id, {"token": token}))

    # From the network.

    def received(self, sequence: int, stamp: int, packet: bytes, now_ms: float) -> None:
        """An RTP packet's payload, its sequence number and its time on the caller's RTP clock."""
        self._jitter.add(sequence, stamp, packet, now_ms)

    def gone(self, *, by_browser: bool) -> None:
        """The browser has left, or (not by itself) can't be reached any more."""
        shell = self._shell
        if self.is_open and shell is not None:
            self.abort()
            shell.from_leg(Stopped() if by_browser else Stopped(UNREACHABLE.reason))
            shell.leg_gone()

    # Time.

    def tick(self, now_ms: float) -> None:
        """Do what is due: called every 20 ms, or later."""
        for _ in range(MAX_CATCH_UP_FRAMES):
            if not self.is_open or self._due_ms > now_ms:
                break
            self._frame(now_ms)
            self._due_ms += FRAME_MS
        if self._due_ms <= now_ms:
            self._due_ms += ((now_ms - self._due_ms) // FRAME_MS + 1) * FRAME_MS
        if self.is_open and now_ms >= self._closes_ms:
            self.abort()
            if self._shell is not None:
                self._shell.leg_gone()

    def _frame(self, now_ms: float) -> None:
        shell = self._shell
        assert shell is not None, "ticks begin with the call"
        at_ms = round(self._due_ms - self._began_ms)
        for mark in self._queue.end_frame():  # these ended before this instant, so they come before its frame
            shell.from_leg(mark)
        shell.from_leg(Audio(self._jitter.next(now_ms), at_ms))
        for mark in self._queue.cleared_marks():
            shell.from_leg(mark)
        marks, sound = self._queue.next_frame()
        for mark in marks:
            shell.from_leg(mark)
        if self.is_open:
            self._connection.send(self._encoder.encode(sound), at_ms // FRAME_MS * FRAME_TICKS)

    # The `Leg` protocol, called by the shell.

    def send(self, actions: Sequence[ToLeg]) -> None:
        if marks := self._queue.append(actions):
            asyncio.get_running_loop().call_soon(self._deliver_marks, marks)  # the shell is at work

    def _deliver_marks(self, marks: Sequence[Mark]) -> None:
        if self._shell is not None:
            for mark in marks:
                self._shell.from_leg(mark)

    def close(self, closing: Closing) -> None:
        """The browser still plays what it was sent last: its connection is closed after that."""
        del closing  # a browser is told by the call's own stream
        self._closes_ms = min(self._closes_ms, self._due_ms + self._tail_ms)

    def abort(self) -> None:
        if self.is_open:
            self.is_open = False
            self._connection.hang_up()
