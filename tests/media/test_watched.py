"""Whoever watches a call is shown the transcript that it has in the end: whole calls, with the stand-ins in virtual time."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hum.contract import wire
from media.core.commands import Watch
from media.core.types import Delta, Event, TurnEnded
from media.reports import Reports
from tests.media.core.plans import BARE, PLAN
from tests.support.examples import examples
from tests.support.present import present
from tests.support.simulation import Phone, World
from tests.support.transcript import Transcript

AT = datetime(2026, 3, 8, tzinfo=UTC)
#: After what it ends at, a turn is known by now: the network and the model's detection.
TOLD_MS = 1_000
#: What the caller does: how long it is silent, and then speaks.
said = st.lists(st.tuples(st.integers(200, 4_000), st.integers(100, 2_500)), min_size=1, max_size=5)


def shown(reports: Reports, event: Event) -> tuple[str, dict[str, Any]] | None:
    """An event as the stream has it; None for what it does not show."""
    if isinstance(event, Delta):
        return "transcript.delta", json.loads(wire.write(reports.delta(event, AT).delta))
    report = reports.of(event, AT)
    if not isinstance(event, TurnEnded):
        return None
    return "transcript.turn", json.loads(wire.write(present(report).turn))


@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(said, st.sampled_from([300, 1_500, 2_500]), st.booleans(), st.integers(0, 200))
def test_the_transcript_of_a_watcher_is_the_calls(
    sayings: list[tuple[int, int]], transcribe_ms: int, greets: bool, delay: int
) -> None:
    phone = Phone(World(), PLAN if greets else BARE, transcribe_ms=transcribe_ms, delay=delay)
    for silence, speech in sayings:
        phone.carry(phone.talk.command(Watch(60_000), phone.world.now))
        phone.after(silence)
        phone.speak(speech)
        phone.after(speech)
    phone.after(8_000)
    phone.carrier.stop()
    phone.after(2_000)
    reports, client, ended = Reports("call_1", 2), Transcript(), set[object]()
    turns = [present(shown(reports, each))[1] for each in phone.told(TurnEnded)]
    began = {each["item_id"]: each for each in turns if each["role"] == "caller"}
    assert turns, "something was said"
    reports = Reports("call_1", 2)
    for event in phone.reports:
        if (what := shown(reports, event)) is None:
            continue
        name, data = what
        if name == "transcript.delta" and data["item_id"] in ended:
            continue  # as control does: what comes of an answer that was cut
        client.feed(name, data)
        if name == "transcript.turn":
            ended.add(data["item_id"])
        elif data["role"] == "agent":
            before = {item for item, turn in began.items() if turn["end_ms"] + TOLD_MS < data["start_ms"]}
            assert before <= {line.item_id for line in client.shown()}, (
                "who speaks before the answer is shown before it"
            )
    client.feed("call.ended", {})
    lines = [(line.item_id, line.role, line.text, line.start_ms) for line in client.shown()]
    assert lines == [(turn["item_id"], turn["role"], turn["text"], turn["start_ms"]) for turn in turns]
