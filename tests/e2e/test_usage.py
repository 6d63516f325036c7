"""What a call used, through the whole platform: as much as the model says that it charged, token for token."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from sandbox.openai import Script
from sandbox.speech import Speech
from sandbox.twilio import say
from tests.e2e.conftest import House
from tests.e2e.test_inbound_call import LISTEN, interrupted_after
from tests.support.waits import patience

pytestmark = pytest.mark.calls


@pytest.fixture
def script() -> Script:
    tones = [{"tone": {"hz": 1000, "ms": 3000}}, {"tone": {"hz": 1800, "ms": 900}}]
    return Script.of({"heard": ["I would like to book a visit", "Tuesday please"], "turns": tones})


def charged(house: House) -> Counter[tuple[str, str]]:
    """By the model's own books: its sessions, and its answers to everything else."""
    total: Counter[tuple[str, str]] = Counter()
    for model, usage in [each for session in house.model.sessions for each in session.charged] + house.model.charged:
        if usage.get("type") == "speech":
            continue  # what is rendered belongs to the flow, and not to a call
        read = usage.get("input_token_details", {})
        cached = read.get("cached_tokens_details", {})
        if "audio_tokens" not in read:  # of the Responses API: text alone
            read = {"text_tokens": usage["input_tokens"], "audio_tokens": 0}
            cached = {"text_tokens": usage["input_tokens_details"]["cached_tokens"]}
        written = usage.get("output_token_details", {"text_tokens": usage["output_tokens"]})
        total[model, "text_tokens_in"] += read["text_tokens"] - cached.get("text_tokens", 0)
        total[model, "cached_text_tokens_in"] += cached.get("text_tokens", 0)
        total[model, "audio_tokens_in"] += read["audio_tokens"] - cached.get("audio_tokens", 0)
        total[model, "cached_audio_tokens_in"] += cached.get("audio_tokens", 0)
        total[model, "text_tokens_out"] += written["text_tokens"]
        total[model, "audio_tokens_out"] += written.get("audio_tokens", 0)
    return +total


def lines(usage: dict[str, Any]) -> Counter[tuple[str, str]]:
    return Counter({(each["item"], each["meter"]): each["quantity"] for each in usage["lines"]})


async def test_what_a_call_used_is_what_the_model_charged(house: House, speech: Speech) -> None:
    await house.answer_with(greeting="Welcome to the clinic.")
    await house.clips_rendered()
    sentences = "I would like to book a visit please.", "Tuesday would be better for me."
    first, second = [await speech.say(line, "caller") for line in sentences]
    call = await house.ring(LISTEN, say(first), interrupted_after(1000), say(second), LISTEN)
    await call.ended()
    record = await house.record(summarized=True)
    async with patience():  # the roll-ups follow
        while True:
            totals = (await house.http.get("/api/usage")).json()["totals"]
            record = (await house.http.get(f"/api/calls/{record['id']}")).json()
            rolled_up = lines(totals["usage"])
            if rolled_up & lines(record["usage"]) == lines(record["usage"]) and record["usage"]["costs"]:
                break
            await asyncio.sleep(0.05)
    used, books = lines(record["usage"]), charged(house)
    models = {model for model, _ in books}
    assert {key: n for key, n in used.items() if key[0] in models} == dict(books)
    assert used["US", "inbound_seconds"] >= record["duration_seconds"]
    assert used[None, "stream_seconds"] >= record["duration_seconds"]  # type: ignore[index]
    assert (totals["calls"], totals["call_seconds"]) == (1, record["duration_seconds"])
    assert record["usage"]["is_priced"] and float(record["usage"]["costs"][0]["amount"]) > 0
    assert any(meter == "speech_ms" for _, meter in rolled_up), "the flow's sentences were rendered"
