"""The leg of a call from a browser: RTP in, RTP out, on the process's own clock.

    network ─▶ JitterBuffer ─▶ Audio, every 20 ms ─▶ call ─▶ PlayoutQueue ─▶ Opus, every 20 ms ─▶ network

The call's clock counts these ticks.  A frame that is sent on a tick counts as played during the 20 ms after it, so the ledger's
position is what the browser was really sent.  The network and the browser's own jitter buffer delay that audio, and lose none.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from hum.settings import MediaSettings
from media.core.audio import FRAME_MS
from media.core.legmessages import Audio, HangUp, Mark, Started, Stopped, ToLeg
from media.leg import Closing
from media.legs.jitter import JitterBuffer
from media.legs.opus import FRAME_TICKS, Decoder, OpusEncoder
from media.legs.playoutqueue import PlayoutQueue
from media.shell import Shell

#: Milliseconds of a browser's audio that are held back at least.
BROWSER_JITTER_MS = 40.0
#: Milliseconds of it that are held back at most, on a network with much jitter.
BROWSER_MAX_JITTER_MS = 200.0

#: The most frames that are sent at once after the process was suspended.  That is more than the call keeps queued here, so all
#: audio that the ledger counted as played meanwhile is sent; a longer suspension leaves a gap.
MAX_CATCH_UP_FRAMES = 25
UNREACHABLE = HangUp("connection_lost")


class BrowserConnection(Protocol):
    """An established connection to a browser."""

    def send(self, packet: bytes, stamp: int) -> None:
        """Send a packet with its time on the RTP clock."""

    def hang_up(self) -> None:
        """Close the connection: nothing is sent or received after that."""


class BrowserLeg:
    """The leg of one browser's call; created once its connection is established."""

    def __init__(self, connection: BrowserConnection, settings: MediaSettings, now_ms: float) -> None:
        self._connection, self._tail_ms = connection, settings.browser_tail_ms
        self._shell: Shell | None = None
        self._jitter = JitterBuffer(Decoder().decode, BROWSER_JITTER_MS, BROWSER_MAX_JITTER_MS)
        self._queue, self._encoder = PlayoutQueue(), OpusEncoder()
        self._began_ms = self._due_ms = now_ms
        self._closes_ms = float("inf")
        self.is_open = True

    def begin(self, shell: Shell, call_id: str, stream_id: str, token: str) -> None:
        """Start the call's stream on this shell."""
        self._shell = shell
        shell.from_leg(Started(stream_id, call_id, {"token": token}))

    # From the network.

    def received(self, sequence: int, stamp: int, packet: bytes, now_ms: float) -> None:
        """Buffer an RTP packet: its sequence number, its time on the caller's RTP clock, and its payload."""
        self._jitter.add(sequence, stamp, packet, now_ms)

    def gone(self, *, by_browser: bool) -> None:
        """Stop the call: the browser has closed the connection, or it is lost if not `by_browser`."""
        shell = self._shell
        if self.is_open and shell is not None:
            self.abort()
            shell.from_leg(Stopped() if by_browser else Stopped(UNREACHABLE.reason))
            shell.leg_gone()

    # Time.

    def tick(self, now_ms: float) -> None:
        """Exchange the frames that are due; called every 20 ms, or later."""
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
        # These marks were played before this instant, so they precede its caller frame.
        for mark in self._queue.end_frame():
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
        """See `Leg`."""
        if marks := self._queue.append(actions):
            # Not now: the shell is carrying out actions.
            asyncio.get_running_loop().call_soon(self._deliver_marks, marks)

    def _deliver_marks(self, marks: Sequence[Mark]) -> None:
        if self._shell is not None:
            for mark in marks:
                self._shell.from_leg(mark)

    def close(self, closing: Closing) -> None:
        """Close the connection once the browser has played the audio that it was sent."""
        # The browser learns the reason from the call's event stream.
        del closing
        self._closes_ms = min(self._closes_ms, self._due_ms + self._tail_ms)

    def abort(self) -> None:
        """Close the connection at once."""
        if self.is_open:
            self.is_open = False
            self._connection.hang_up()
