"""A flow's fillers through the whole platform: rendered, played before a slow answer, recorded as fillers."""

import pytest

from media.core.audio import BYTES_PER_MS, FRAME_BYTES, level_db
from sandbox.openai import Faults, Script
from sandbox.speech import Speech
from sandbox.twilio import say
from tests.e2e.conftest import House

PHRASES = ["Let me look that up.", "One second, please."]
QUIET_DB = -45.0
LISTEN = {"do": "wait_for_agent_to_finish", "quiet_ms": 900, "timeout_ms": 60_000}


def voice_ends_ms(ulaw: bytes) -> int:
    """Where an utterance falls silent; a pause follows in the same audio."""
    frames = range(0, len(ulaw), FRAME_BYTES)
    return max(at + FRAME_BYTES for at in frames if level_db(ulaw[at : at + FRAME_BYTES]) > QUIET_DB) // BYTES_PER_MS


@pytest.fixture
def script() -> Script:
    return Script.of({"heard": ["I need a plumber"], "turns": [{"tone": {"hz": 1000.0, "ms": 800}}]})


@pytest.mark.calls
@pytest.mark.parametrize("exact", [False, pytest.param(True, marks=pytest.mark.realtime)])
async def test_a_filler_is_heard_before_a_slow_answer(house: House, speech: Speech, exact: bool) -> None:
    house.model.faults = Faults(first_delta_ms=3_000)
    await house.answer_with(filler_phrases=PHRASES)
    await house.clips_rendered()
    async with house.control.db.system() as tx:
        filler = bytes(await tx.fetchval("SELECT audio_ulaw FROM clips WHERE text = $1", PHRASES[0]))
    question = await speech.say("I need a plumber please.", "caller")
    call = await house.ring({"do": "wait", "ms": 300}, say(question), LISTEN, LISTEN)
    truth = await call.ended()
    record = await house.record()

    (stream,) = truth.as_json()["streams"]
    assert stream["errors"] == []
    segments = call.stream.playout.segments  # a busy machine may break either into several
    heard = b"".join(bytes(each.payload) for each in segments)
    assert heard[: len(filler)] == filler, "what the job rendered is what the caller hears"
    assert len(heard) - len(filler) == 800 * 8, "and then the whole answer"
    filled, answered = segments[0], next(each for each in segments if each.offset_bytes >= len(filler))
    (spoken,) = stream["caller"]["spans"]
    voiced_ms = spoken["start_ms"] + voice_ends_ms(question)
    assert filled.start_ms - voiced_ms >= 700
    if exact:
        assert filled.start_ms - voiced_ms <= 1_100
    assert answered.start_ms - voiced_ms >= 3_000

    assert [(turn["role"], turn["text"]) for turn in record["transcript"][:2]] == [
        ("caller", "I need a plumber"),
        ("agent", PHRASES[0]),
    ]
    (latency,) = record["latency"]["turns"]
    assert latency["first_sound_ms"] < latency["first_answer_ms"]
    if exact:
        assert latency["first_sound_ms"] < latency["first_answer_ms"] - 1_500
        assert latency["first_sound_ms"] == pytest.approx(filled.start_ms - voiced_ms, abs=250)
    (session,) = house.model.sessions
    assert session.truncations == []
    assert session.sent("error") == []
    (told,) = session.received("conversation.item.create")
    assert told["previous_item_id"] in session.understood, "the model knows it as said before the answer"
    assert call.errors == []
