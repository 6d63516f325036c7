"""The jitter buffer in virtual time, and the codec behind it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.core.audio import FRAME_BYTES, SILENCE_BYTE, from_linear, to_linear
from media.legs.jitter import MAX_PACKETS, QUIET, JitterBuffer
from media.legs.opus import FRAME_TICKS, BadPacket, Decoder, Downsampler, OpusEncoder, ticks_of
from tests.support.examples import examples

TWENTY_MS = 0b01001 << 3  # the first byte of a packet: one frame of 20 ms


def packet(number: int) -> bytes:
    return bytes([TWENTY_MS]) + number.to_bytes(4, "big")


def decode(data: bytes) -> bytes:
    """Frames that can be told apart: the packet's number, again and again."""
    return data[1:] * (FRAME_BYTES // 4)


class Line:
    """Packets with a delay each, and a player who takes a frame every 20 ms."""

    def __init__(self, **limits: Any) -> None:
        self.jitter = JitterBuffer(decode, **limits)
        self.played: list[bytes | None] = []
        self._known: dict[bytes, int] = {}

    def run(self, arrivals: list[tuple[float, int]], until_ms: int, drift: float = 1.0) -> "Line":
        """`arrivals`: (ms, number); the numbers are the packets'."""
        waiting = sorted(arrivals)
        now_ms = 0.0
        while now_ms < until_ms:
            while waiting and waiting[0][0] <= now_ms:
                at, number = waiting.pop(0)
                self._known[decode(packet(number))] = number
                self.jitter.add(number & 0xFFFF, number * FRAME_TICKS & 0xFFFFFFFF, packet(number), at)
            self.played.append(self.jitter.next(now_ms))
            now_ms += 20.0 * drift
        return self

    @property
    def numbers(self) -> list[int]:
        """Which packets were played, without what was made up."""
        return [self._known[each] for each in self.played if each in self._known]


def evenly(count: int, first: int = 1, delay: Callable[[int], float] = lambda n: 0.0) -> list[tuple[float, int]]:
    return [(n * 20.0 + delay(n), first + n) for n in range(count)]


def test_an_even_stream_is_played_whole_and_in_order_after_its_delay() -> None:
    line = Line(min_ms=40).run(evenly(50), 1_200)
    assert line.numbers[:50] == list(range(1, 51))
    assert line.played.index(decode(packet(1))) == 2, "held back for 40 ms"
    assert line.jitter.counts.lost == line.jitter.counts.late == 0


@pytest.mark.parametrize("first", [0xFFFE, 0, 0x12345])
def test_numbers_and_clocks_wrap(first: int) -> None:
    assert Line().run(evenly(20, first), 600).numbers[:20] == list(range(first, first + 20))


def test_reordered_packets_are_played_in_order() -> None:
    line = Line(min_ms=60).run(evenly(40, delay=lambda n: 45.0 if n % 5 == 0 else 0.0), 1_000)
    assert line.numbers[:40] == list(range(1, 41))
    assert line.jitter.counts.lost == 0


def test_a_lost_packet_costs_its_own_20_ms_and_no_more() -> None:
    line = Line().run([each for each in evenly(30) if each[1] != 10], 800)
    assert line.numbers[:8] == list(range(1, 9))
    assert [number for number in line.numbers if number > 10][:5] == [11, 12, 13, 14, 15]
    assert line.played.index(decode(packet(11))) - line.played.index(decode(packet(9))) == 2
    assert line.jitter.counts.lost == 1


def test_a_late_packet_holds_more_back_from_then_on() -> None:
    line = Line(min_ms=20).run(evenly(100, delay=lambda n: 90.0 if 20 <= n < 23 else 0.0), 2_500)
    assert line.jitter.target_ms > 20
    assert line.numbers == sorted(line.numbers)


def test_a_sender_that_pauses_is_not_a_network_that_is_late() -> None:
    """Discontinuous transmission: a packet each 400 ms, whose clock tells the pause."""
    line = Line(min_ms=40)
    for n in range(10):
        line._known[decode(packet(n))] = n
        line.jitter.add(n, n * 20 * FRAME_TICKS, packet(n), n * 400.0)
        for tick in range(20):
            line.played.append(line.jitter.next(n * 400.0 + tick * 20))
    assert line.jitter.target_ms == 40
    assert line.numbers == list(range(10))


@pytest.mark.parametrize("drift", [0.998, 1.002])
def test_clocks_that_differ_never_pile_up_audio(drift: float) -> None:
    line = Line(min_ms=40)
    line.jitter.decode = lambda data: QUIET  # of pauses frames are left out
    line.run(evenly(6_000), 119_000, drift)
    assert line.jitter.waiting_ms <= line.jitter.max_ms + 60
    counts = line.jitter.counts
    assert counts.skipped + counts.concealed <= 40
    assert counts.lost == counts.late == 0


def test_somebody_who_sends_without_end_costs_no_memory() -> None:
    jitter = JitterBuffer(decode)
    for n in range(10_000):
        jitter.add(n & 0xFFFF, n * FRAME_TICKS & 0xFFFFFFFF, packet(n), 0.0)
    assert len(jitter._packets) <= MAX_PACKETS


def test_another_stream_begins_anew() -> None:
    line = Line().run(evenly(20), 300)
    line.run([(at + 0.0, n + 40_000) for at, n in evenly(20)], 600)
    assert line.numbers[-10:] == list(range(line.numbers[-10], line.numbers[-10] + 10))
    assert line.numbers[-1] > 40_000


@given(
    st.lists(
        st.tuples(st.floats(0, 3_000), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.binary(max_size=40)),
        max_size=80,
    )
)
@settings(max_examples=examples(60), deadline=None)
def test_whatever_comes_20_ms_leave_every_20_ms(packets: list[tuple[float, int, int, bytes]]) -> None:
    jitter = JitterBuffer(Decoder().decode)
    waiting = sorted(packets, key=lambda each: each[0])
    for tick in range(170):
        while waiting and waiting[0][0] <= tick * 20:
            at, sequence, stamp, data = waiting.pop(0)
            jitter.add(sequence, stamp, data, at)
        assert len(jitter.next(tick * 20.0)) == FRAME_BYTES


@given(st.integers(0, 2**32), st.floats(0, 80), st.floats(0, 0.05))
@settings(max_examples=examples(40), deadline=None)
def test_on_any_network_frames_stay_in_order_and_none_is_played_twice(seed: int, jitter_ms: float, loss: float) -> None:
    random = np.random.default_rng(seed)
    delays = random.uniform(0, jitter_ms, 300)
    kept = random.random(300) >= loss
    line = Line(min_ms=40).run([each for each in evenly(300, delay=lambda n: delays[n]) if kept[each[1] - 1]], 6_500)
    once = [number for at, number in enumerate(line.numbers) if at == 0 or number != line.numbers[at - 1]]
    assert once == sorted(set(once))
    counts = line.jitter.counts
    assert len(once) + counts.late + counts.skipped >= kept.sum()


# --- the codec ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hz", [300, 1_000, 3_000])
def test_a_tone_survives_both_ways(hz: int) -> None:
    """At its level, within what mu-law and Opus do to it; and narrowing takes each sixth sample of 48 kHz, no more."""
    wide = (8_000 * np.sin(2 * np.pi * hz * np.arange(48_000) / 48_000)).astype(np.int16).tobytes()
    narrow = Downsampler()
    parts = [narrow.downsample(wide[at : at + 1_920]) for at in range(0, len(wide), 1_920)]
    assert {len(part) for part in parts} == {320}
    encoder, decoder = OpusEncoder(), Decoder()
    ulaw = b"".join(map(from_linear, parts))
    back = b"".join(decoder.decode(encoder.encode(ulaw[at : at + 160])) for at in range(0, len(ulaw), 160))
    assert len(back) == len(ulaw)
    heard = np.frombuffer(to_linear(back), np.int16)[2_000:6_000].astype(float)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(4_000)))
    assert np.argmax(spectrum) * 2 == pytest.approx(hz, abs=4)
    assert np.sqrt((heard**2).mean()) == pytest.approx(8_000 / np.sqrt(2), rel=0.15)


@pytest.mark.parametrize("hz", [5_000, 7_000, 12_000, 20_000])
def test_what_8_khz_can_t_carry_does_not_come_back_as_something_else(hz: int) -> None:
    wide = (16_000 * np.sin(2 * np.pi * hz * np.arange(24_000) / 48_000)).astype(np.int16).tobytes()
    narrowed = np.frombuffer(Downsampler().downsample(wide), np.int16)[100:].astype(float)
    assert np.sqrt((narrowed**2).mean()) < 16_000 / np.sqrt(2) * 10 ** (-45 / 20)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(0, 2**32))
@settings(max_examples=examples(30), deadline=None)
def test_narrowing_in_pieces_is_narrowing_at_once(sizes: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    wide = random.integers(-20_000, 20_000, 6 * sum(sizes), dtype=np.int16).tobytes()
    pieces, narrow, at = [], Downsampler(), 0
    for size in sizes:
        pieces.append(narrow.downsample(wide[at : at + 12 * size]))
        at += 12 * size
    assert (
        np.abs(
            np.frombuffer(b"".join(pieces), np.int16).astype(int)
            - np.frombuffer(Downsampler().downsample(wide), np.int16)
        ).max()
        <= 1
    )


@given(st.binary(max_size=60))
@settings(max_examples=examples(200), deadline=None)
def test_no_packet_makes_more_sound_than_it_says(data: bytes) -> None:
    try:
        ticks = ticks_of(data)
    except BadPacket:
        return
    assert 0 < ticks <= 5_760
    try:
        sound = Decoder().decode(data)
    except BadPacket:
        return
    assert len(sound) * 6 == ticks


def test_packets_that_are_none() -> None:
    for data in (b"", b"\x03", bytes([TWENTY_MS | 3, 0]), bytes([TWENTY_MS | 3, 63]), b"\x00" * 1_501):
        with pytest.raises(BadPacket):
            ticks_of(data)
    assert ticks_of(bytes([TWENTY_MS, 1])) == FRAME_TICKS
    assert SILENCE_BYTE * FRAME_BYTES == QUIET
