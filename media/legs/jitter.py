"""The jitter buffer: packets arrive at any time and in any order, 20 ms of audio leave every 20 ms.  Pure.

The target depth follows the network's jitter: it grows after an underrun and shrinks after a calm while.  Two clocks are never
equally fast, so a frame is skipped when the buffer is too deep, and concealed when it is empty.
"""

from dataclasses import dataclass, field
from typing import Protocol

from media.core.audio import BYTES_PER_MS, FRAME_BYTES, FRAME_MS, SILENCE_BYTE, fade, level_db
from media.legs.opus import BadPacket, ticks_of

TICKS_PER_MS = 48
#: Two seconds of audio; when a sender exceeds this, its oldest packets are dropped.
MAX_PACKETS = 100
#: Sequence numbers further apart than this belong to different streams.
FAR = 1_500
STEP_MS = 20.0
#: The buffer is too deep if it was more than this above the target ...
SLACK_MS = 2.0 * FRAME_MS
#: ... for this long.
WATCH_MS = 2_000.0
CALM_MS = 10_000.0
#: Concealed frames in a row that repeat the last sound, fading; the ones after that are silent.
MAX_CONCEALED = 3
FADE = 0.6
QUIET_DB = -45.0
QUIET = SILENCE_BYTE * FRAME_BYTES


class Decode(Protocol):
    """A decoder of packets."""

    def __call__(self, packet: bytes, /) -> bytes:
        """Decode a packet to mu-law.  Raises BadPacket."""
        ...


@dataclass(slots=True)
class Counts:
    """Packets that were late, lost or bad; frames that were concealed or skipped."""

    late: int = 0
    lost: int = 0
    bad: int = 0
    concealed: int = 0
    skipped: int = 0


@dataclass(slots=True)
class _Depth:
    """The target depth of the buffer, and whether the buffer was deeper than that lately."""

    min_ms: float
    max_ms: float
    target_ms: float
    conceal_next: bool = False  # to deepen the buffer by a frame
    is_empty: bool = True
    _least_ms: float = float("inf")
    _watched_ms: float = 0.0
    _calm_ms: float = 0.0

    def begin(self, now_ms: float) -> None:
        """Begin to watch the depth."""
        self._least_ms, self._watched_ms = float("inf"), now_ms

    def record_late(self, now_ms: float, *, playing: bool) -> None:
        self._calm_ms = now_ms
        if self.target_ms + STEP_MS <= self.max_ms:
            self.target_ms += STEP_MS
            self.conceal_next = playing

    def is_too_deep(self, waiting_ms: float, now_ms: float) -> bool:
        if now_ms - self._calm_ms >= CALM_MS:
            self.target_ms, self._calm_ms = max(self.target_ms - STEP_MS, self.min_ms), now_ms
        self._least_ms = min(self._least_ms, waiting_ms)
        if now_ms - self._watched_ms < WATCH_MS:
            return False
        is_too_deep = self._least_ms > self.target_ms + SLACK_MS
        if not is_too_deep:
            self.begin(now_ms)
        return is_too_deep

    def record_skip(self) -> None:
        self._least_ms -= FRAME_MS


class _Packet:
    __slots__ = ("data", "stamp", "ticks")

    def __init__(self, stamp: int, ticks: int, data: bytes) -> None:
        self.stamp = stamp
        self.ticks = ticks
        self.data = data


@dataclass(slots=True)
class _SequenceNumbers:
    """The order of packets.  Sequence numbers have 16 bits on the wire, and are unwrapped here."""

    next: int | None = None
    stamp: int = 0  # RTP time expected of the next packet
    _newest: int | None = None

    def unwrap(self, sequence: int) -> int | None:
        """Return the unwrapped number, or None if it belongs to another stream than the ones before."""
        if self._newest is None:
            self._newest = sequence
            return sequence
        distance = ((sequence - self._newest + 0x8000) & 0xFFFF) - 0x8000
        if abs(distance) > FAR:
            return None
        number = self._newest + distance
        self._newest = max(self._newest, number)
        return number


@dataclass(slots=True)
class JitterBuffer:
    """The audio of one caller."""

    decode: Decode
    min_ms: float = 40.0
    max_ms: float = 200.0
    counts: Counts = field(default_factory=Counts)
    _packets: dict[int, _Packet] = field(default_factory=dict)
    _numbers: _SequenceNumbers = field(default_factory=_SequenceNumbers)
    _ready: bytearray = field(default_factory=bytearray)  # decoded
    #: Since when packets are buffered before playing begins; None while playing, or without packets.
    _buffering_since_ms: float | None = None
    #: The next concealed frames.
    _concealment: list[bytes] = field(default_factory=list)
    _depth: _Depth = field(init=False)

    def __post_init__(self) -> None:
        self._depth = _Depth(self.min_ms, self.max_ms, self.min_ms)

    @property
    def target_ms(self) -> float:
        """The depth that the buffer aims at."""
        return self._depth.target_ms

    @property
    def waiting_ms(self) -> float:
        """The duration of the buffered audio."""
        return sum([packet.ticks for packet in self._packets.values()]) / TICKS_PER_MS + len(self._ready) / BYTES_PER_MS

    def add(self, sequence: int, stamp: int, packet: bytes, now_ms: float) -> None:
        """Buffer a packet with its sequence number (16 bits) and its time on the RTP clock (32 bits)."""
        try:
            ticks = ticks_of(packet)
        except BadPacket:
            self.counts.bad += 1
            return
        number = self._numbers.unwrap(sequence)
        if number is None:  # the sender began a new stream
            self._packets.clear()
            self._ready.clear()
            self._numbers, self._depth.is_empty = _SequenceNumbers(), True
            number = self._numbers.unwrap(sequence)
            assert number is not None, "the first of a stream"
        numbers, depth = self._numbers, self._depth
        if numbers.next is not None and number < numbers.next:
            self.counts.late += 1
            depth.record_late(now_ms, playing=bool(self._packets))
            return
        if depth.is_empty:
            depth.is_empty, self._buffering_since_ms = False, now_ms
            # After a pause of the sender, the RTP time jumps ahead; if it does not, the packet is late.
            if number == numbers.next and stamp == numbers.stamp:
                depth.record_late(now_ms, playing=False)
        self._packets[number] = _Packet(stamp, ticks, packet)
        if len(self._packets) > MAX_PACKETS:
            numbers.next = min(self._packets) + 1
            del self._packets[numbers.next - 1]
            self.counts.lost += 1

    def next(self, now_ms: float) -> bytes:
        """Return the next 20 ms of audio."""
        frame = None if self._depth.conceal_next else self._frame(now_ms)
        if frame is None:
            self._depth.conceal_next = False
            self.counts.concealed += 1
            return self._concealment.pop(0) if self._concealment else QUIET
        waiting_ms = self.waiting_ms
        if self._depth.is_too_deep(waiting_ms, now_ms) and (
            waiting_ms > self.max_ms + SLACK_MS or level_db(frame) < QUIET_DB
        ):
            following = self._frame(now_ms)
            if following is not None:
                self.counts.skipped += 1
                self._depth.record_skip()
                return following
        return frame

    def _frame(self, now_ms: float) -> bytes | None:
        while len(self._ready) < FRAME_BYTES:
            if not self._decode_next(now_ms):
                return None
        frame = bytes(self._ready[:FRAME_BYTES])
        del self._ready[:FRAME_BYTES]
        return frame

    def _decode_next(self, now_ms: float) -> bool:
        """Decode the next packet, or conceal a lost one; return False if there is nothing to play."""
        numbers = self._numbers
        if not self._packets:
            self._depth.is_empty = True
            return False
        if self._buffering_since_ms is not None:
            if now_ms - self._buffering_since_ms < self._depth.target_ms:
                return False
            self._buffering_since_ms = None
            self._depth.begin(now_ms)
            first = min(self._packets)
            self.counts.lost += 0 if numbers.next is None else first - numbers.next
            numbers.next = first
        assert numbers.next is not None, "set when playing begins"
        packet = self._packets.pop(numbers.next, None)
        numbers.next += 1
        if packet is None:
            self.counts.lost += 1
            numbers.stamp += FRAME_MS * TICKS_PER_MS
            self._ready += self._concealment.pop(0) if self._concealment else QUIET
            return True
        numbers.stamp = packet.stamp + packet.ticks
        try:
            sound = self.decode(packet.data)
        except BadPacket:
            self.counts.bad += 1
            sound = self._concealment.pop(0) if self._concealment else QUIET
        else:
            last = sound[-FRAME_BYTES:].rjust(FRAME_BYTES, SILENCE_BYTE)
            self._concealment = [fade(last, FADE**n) for n in range(1, MAX_CONCEALED + 1)]
        self._ready += sound
        return True
