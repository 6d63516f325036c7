"""What the servers of a cascade send: text that is spoken or not, streams in their dialects, sound in its formats."""

import json
from typing import Any

import numpy as np
import pytest

from realtime.codec import PCMU
from realtime.mind import AnswerSituation
from sandbox.speech import sound
from voice import chatwire, pcm
from voice.chatwire import BadStream, CallDraft, ChatStream
from voice.clauses import Clauses, cut
from voice.pcm import BadSound

TEXT = "We are open until five."


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (
            "Certainly, we are open. Do you want to come, or not?",
            ["Certainly, we are open.", "Do you want to come, or not?"],
        ),
        ("Yes. We are open, and close at five. Bye.", ["Yes. We are open,", "and close at five.", "Bye."]),
        ("<think>Hm. They ask. Well.</think>We are open.", ["We are open."]),
        ("<think>Hm. They ask and I never end", []),
        ("**We** are `open` 😀 [here](https://x.example/y).", ["We are open here."]),
        ("See https://x.example/y for that.", ["See for that."]),
        ("- one\n- two three four\n", ["one two three four"]),
        ('{"name": "book", "arguments": {}}', []),
        ("", []),
        ("...", []),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 1_000])
def test_a_text_is_cut_into_what_can_be_spoken_however_it_comes(text: str, pieces: list[str], step: int) -> None:
    clauses = Clauses()
    given = [piece for at in range(0, len(text), step) for piece in clauses.add(text[at : at + step])]
    assert given + clauses.rest() == pieces


def test_a_model_that_repeats_itself_is_stopped() -> None:
    clauses = Clauses()
    assert len(clauses.add("I can not do that. " * 10)) == 2
    assert clauses.is_loop


def test_a_text_without_an_end_is_cut_nevertheless() -> None:
    assert all(len(piece) <= 400 for piece in cut("word " * 300))
    assert " ".join(cut("word " * 300)).split() == ["word"] * 300


def fed(*chunks: Any, end: bytes = b"data: [DONE]\n\n", step: int = 5) -> tuple[str, ChatStream]:
    payload = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + end
    chat = ChatStream()
    return "".join(chat.feed(payload[at : at + step]) for at in range(0, len(payload), step)), chat


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"delta": fields}]}


@pytest.mark.parametrize(
    "calls",
    [
        [
            {"index": 0, "function": {"name": "book"}},
            {"index": 0, "function": {"arguments": '{"day"'}},
            {"index": 0, "function": {"arguments": ": 1}"}},
        ],
        [{"function": {"name": "book", "arguments": '{"day": 1}'}}],
        [{"function": {"name": "book", "arguments": {"day": 1}}}],
        [{"function": {"name": "book"}}, {"function": {"arguments": '{"day": 1}'}}],
    ],
)
def test_calls_are_read_whole_or_in_pieces(calls: list[Any]) -> None:
    text, chat = fed(
        delta(content="One moment."), delta(reasoning_content="secret"), *(delta(tool_calls=[each]) for each in calls)
    )
    assert (text, chat.calls, chat.is_complete) == ("One moment.", [CallDraft("book", '{"day": 1}')], True)


@pytest.mark.parametrize(
    "chunk",
    [
        {"error": {"message": "no"}},
        {"choices": 3},
        [],
        delta(tool_calls=[{"index": n, "function": {"name": "f"}} for n in range(17)]),
    ],
)
def test_a_stream_that_is_none_is_refused(chunk: Any) -> None:
    with pytest.raises(BadStream):
        fed(chunk)


def test_a_line_without_end_is_refused_and_a_stream_without_one_is_not_complete() -> None:
    with pytest.raises(BadStream):
        ChatStream().feed(b"data: " + b"x" * (1 << 20))
    assert not fed(delta(content="Hi."), end=b"")[1].is_complete


def test_a_call_that_is_written_as_text_is_read() -> None:
    assert chatwire.spoken_call('```json\n{"name": "book", "parameters": {"day": 1}}\n```') == CallDraft(
        "book", '{"day": 1}'
    )
    assert chatwire.spoken_call('<tool_call>{"name": "book"}</tool_call>') == CallDraft("book", "{}")
    assert chatwire.spoken_call('{"day": 1}') is None
    assert chatwire.spoken_call("{") is None


def test_each_call_has_its_result_behind_it_also_one_that_still_runs() -> None:
    call = {"type": "function_call", "name": "book", "arguments": "{}"}
    items = [
        ({"type": "message", "role": "user"}, ""),
        (call | {"call_id": "c1"}, ""),
        ({"type": "message", "role": "assistant"}, "Wait."),
        (call | {"call_id": "c2"}, ""),
        ({"type": "function_call_output", "call_id": "c1", "output": "done"}, ""),
    ]
    chat = chatwire.messages(AnswerSituation(instructions="Be brief.", items=items))
    assert [(each["role"], each.get("content")) for each in chat] == [
        ("system", "Be brief."),
        ("user", chatwire.NOT_UNDERSTOOD),
        ("assistant", None),
        ("tool", "done"),
        ("assistant", "Wait."),
        ("assistant", None),
        ("tool", chatwire.RUNNING),
    ]


def test_sound_is_brought_to_the_wire_with_the_times_of_its_words() -> None:
    samples = sound.sine(300, 1_500, 24_000)
    bare = pcm.voiced(samples.tobytes(), 24_000, TEXT, PCMU)
    assert len(bare.payload) == 1_500 * 8
    assert "".join(word.text for word in bare.words) == TEXT
    assert (bare.words[0].start_ms, bare.words[-1].end_ms) == (0, 1_500)
    assert all(word.end_ms > word.start_ms for word in bare.words)
    wav = bytearray(pcm.wav(sound.sine(300, 1_500, 16_000), 16_000))
    wav[40:44] = b"\xff\xff\xff\xff"  # as a stream has it
    assert len(pcm.voiced(bytes(wav), 24_000, TEXT, PCMU).payload) == 1_500 * 8
    stereo = np.repeat(samples, 2)
    head = bytearray(pcm.wav(stereo, 24_000))
    head[22:24] = (2).to_bytes(2, "little")
    assert len(pcm.voiced(bytes(head), 8_000, TEXT, PCMU).payload) == 1_500 * 8


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"ID3" + bytes(9_000),
        b"RIFF",
        pcm.wav(np.zeros(0, np.int16), 24_000),
        bytes(48 * 60_000),
        bytes(480),
    ],
)
def test_what_is_no_sound_of_these_words_is_refused(content: bytes) -> None:
    with pytest.raises(BadSound):
        pcm.voiced(content, 24_000, TEXT, PCMU)
