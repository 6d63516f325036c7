"""What the model says that it used: read whatever it says, and in a call as much as it charges."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.core.modelmessages import ModelUsed
from media.models import realtimewire as rt
from media.models.realtimeusage import of_response, of_transcription
from tests.media.core.plans import BARE
from tests.support.plans import MODEL, changed
from tests.support.simulation import Model, Phone

COUNTS = [each.name for each in fields(ModelUsed) if each.name != "model"]


def read(
    usage: dict[str, Any] | int | str | None, of: Callable[..., ModelUsed | None] = of_response
) -> ModelUsed | None:
    return of("m", msgspec.Raw(json.dumps(usage).encode()))


def test_cached_tokens_are_apart() -> None:
    details = {
        "text_tokens": 120,
        "audio_tokens": 80,
        "cached_tokens": 90,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 26},
    }
    usage = {"input_token_details": details, "output_token_details": {"text_tokens": 7, "audio_tokens": 50}}
    assert read(usage) == ModelUsed("m", 54, 56, 26, 64, 50, 7)
    del details["cached_tokens_details"]  # as older servers say it
    assert read(usage) == ModelUsed("m", 80, 30, 0, 90, 50, 7)
    details["cached_tokens"] = 150
    assert read(usage) == ModelUsed("m", 50, 0, 30, 120, 50, 7)


def test_a_transcription_is_counted_in_tokens_or_time() -> None:
    assert read({"type": "duration", "seconds": 1.5}, of_transcription) == ModelUsed("m", transcribed_ms=1500)
    tokens = {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}
    assert read(tokens, of_transcription) == ModelUsed("m", audio_in=14, text_out=45)
    details = {"input_token_details": {"text_tokens": 4, "audio_tokens": 10}}
    assert read(tokens | details, of_transcription) == ModelUsed("m", audio_in=10, text_in=4, text_out=45)


@pytest.mark.parametrize(
    "usage",
    [None, {}, 5, "many", {"input_token_details": 3}, {"output_token_details": {"audio_tokens": -5}},
     {"output_token_details": {"audio_tokens": 10**30}}, {"seconds": "x", "type": "duration"}],
)  # fmt: skip
def test_what_can_not_be_read_disturbs_nothing(usage: dict[str, Any] | int | str | None) -> None:
    assert read(usage) is None
    wire = {"type": "response.done", "response": {"id": "r", "status": "completed", "usage": usage}}
    assert isinstance(rt.decode(json.dumps(wire).encode()), rt.ResponseDone)


@given(st.dictionaries(st.sampled_from(["text_tokens", "audio_tokens", "cached_tokens"]), st.integers(0, 10**6)))
def test_parts_add_up_to_the_whole(details: dict[str, Any]) -> None:
    used = read({"input_token_details": details}) or ModelUsed("m")
    assert used.text_in + used.cached_text_in == details.get("text_tokens", 0)
    assert used.audio_in + used.cached_audio_in == details.get("audio_tokens", 0)
    assert min(used.text_in, used.audio_in) >= 0


def charged(model: Model) -> Counter[tuple[str, str]]:
    """What the sandbox says that it charges, by model and kind, counted by hand."""
    total = Counter[tuple[str, str]]()
    for name, usage in model.charged:
        if usage.get("type") == "duration":
            total[name, "transcribed_ms"] += round(usage["seconds"] * 1000)
            continue
        read, written = usage["input_token_details"], usage.get("output_token_details")
        cached = read.get("cached_tokens_details", {"text_tokens": 0, "audio_tokens": 0})
        total[name, "text_in"] += read["text_tokens"] - cached["text_tokens"]
        total[name, "audio_in"] += read["audio_tokens"] - cached["audio_tokens"]
        total[name, "cached_text_in"] += cached["text_tokens"]
        total[name, "cached_audio_in"] += cached["audio_tokens"]
        total[name, "text_out"] += written["text_tokens"] if written else usage["output_tokens"]
        total[name, "audio_out"] += written["audio_tokens"] if written else 0
    return +total


def counted(phone: Phone) -> Counter[tuple[str, str]]:
    total = Counter[tuple[str, str]]()
    for used in phone.told(ModelUsed):
        for name in COUNTS:
            total[used.model, name] += getattr(used, name)
    return +total


@pytest.mark.parametrize("transcription", ["whisper-1", "gpt-4o-transcribe"])
def test_a_call_counts_what_the_model_charges_token_for_token(
    make_phone: Callable[..., Phone], transcription: str
) -> None:
    """With answers that are cut, and a session that is lost on the way."""
    phone = make_phone(changed(BARE, model=replace(MODEL, transcription=transcription)), answer_ms=4_000)
    phone.after(1_000)
    for number in range(6):
        phone.speak(700)
        phone.after(2_500)
        if number % 2:
            phone.speak(900)  # over the answer
            phone.after(2_000)
        phone.after(6_000)
        if number == 3:
            phone.lose()
            phone.after(3_000)
    model, total = phone.model, charged(phone.model)
    assert total == counted(phone)
    assert total["gpt-realtime", "audio_out"] > 300 and total["gpt-realtime", "cached_audio_in"] > 100
    reads = [usage["input_tokens"] for name, usage in model.charged if name == "gpt-realtime"]
    assert len(reads) >= 8 and max(reads) > 2 * reads[0], "the conversation is read anew by each answer"
