"""The queue of what the agent says: marks on the RTP clock, exactly where the audio is."""

from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from media.core.audio import FRAME_BYTES, SILENCE_BYTE
from media.core.legmessages import Clear, Mark, Play
from media.legs.playoutqueue import PlayoutQueue

SOUND = st.integers(1, 900).map(lambda size: Play(b"\x01" * size))
STEPS = st.lists(st.one_of(st.just("tick"), SOUND, st.just("mark"), st.just("clear")), max_size=60)


def tick(queue: PlayoutQueue) -> tuple[Any, ...]:
    """One tick as the leg does it: marks before its frame, those that were discarded, those at its head, and the frame."""
    played, flushed = queue.end_frame(), queue.cleared_marks()
    heads, frame = queue.next_frame()
    return played, flushed, heads, frame


def numbers(marks: list[Mark]) -> list[int]:
    return [each.number for each in marks]


def test_a_mark_comes_back_after_the_frame_in_which_its_audio_ends() -> None:
    queue = PlayoutQueue()
    assert queue.append([Mark(1), Play(b"\x01" * 200), Mark(2)]) == []
    assert tick(queue) == ([], [], [Mark(1)], b"\x01" * FRAME_BYTES)
    assert tick(queue) == ([], [], [], b"\x01" * 40 + SILENCE_BYTE * 120)
    assert tick(queue) == ([Mark(2)], [], [], SILENCE_BYTE * FRAME_BYTES)


def test_a_mark_without_audio_before_it_is_back_at_once() -> None:
    queue = PlayoutQueue()
    assert queue.append([Mark(1)]) == [Mark(1)]
    queue.append([Play(b"\x01" * FRAME_BYTES)])
    tick(queue)
    assert queue.append([Mark(2)]) == [], "the frame under way is still being played"
    assert tick(queue)[:3] == ([], [], [Mark(2)])


def test_a_clear_discards_what_was_not_handed_to_the_network_and_nothing_else() -> None:
    queue = PlayoutQueue()
    queue.append([Play(b"\x01" * 500), Mark(1), Play(b"\x02" * 500), Mark(2)])
    _, _, _, first = tick(queue)
    assert queue.append([Clear(), Mark(3)]) == [], "the position is known when the frame under way is over"
    played, flushed, heads, frame = tick(queue)
    assert (first, frame) == (b"\x01" * FRAME_BYTES, SILENCE_BYTE * FRAME_BYTES)
    assert (played, flushed, heads) == ([], [Mark(1), Mark(2)], [Mark(3)])


@given(STEPS)
def test_every_mark_is_back_once_and_in_order_and_no_byte_is_sent_twice(steps: list[Any]) -> None:
    queue, ids = PlayoutQueue(), count(1)
    queued, sent, dropped, back, made = 0, 0, 0, [], 0
    for step in [*steps, *["tick"] * 200]:
        if step == "tick":
            played, flushed, heads, frame = tick(queue)
            back += numbers(played + flushed + heads)
            sent += len(frame.rstrip(SILENCE_BYTE))
            assert len(frame) == FRAME_BYTES
        elif step == "mark":
            made = next(ids)
            back += numbers(queue.append([Mark(made)]))
        elif step == "clear":
            dropped = queued - sent
            queued = sent
            back += numbers(queue.append([Clear()]))
        else:
            queued += len(step.audio)
            back += numbers(queue.append([step]))
        assert sent <= queued and dropped >= 0
    assert back == list(range(1, made + 1))
    assert sent == queued, "what was not cleared is sent, to the byte"
