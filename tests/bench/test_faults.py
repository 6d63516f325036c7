"""What the benchmark of faults makes of callers and of their records; and a short run of it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.faults import FAULTS, main
from bench.faults_truth import Turns, common, has_true_end, is_served

APOLOGY = "We are sorry."


@pytest.mark.parametrize(
    ("keys", "repeated", "count"),
    [
        ("0123", "0123", 4),
        ("0123", "01234", 4),
        ("0123", "013", 3),
        ("0123", "123", 3),
        ("0123", "", 0),
        ("", "1", 0),
        ("0123", "01023", 4),
        ("0123", "0213", 3),
    ],
)
def test_keys_that_a_turn_repeats_are_counted(keys: str, repeated: str, count: int) -> None:
    assert common(list(keys), list(repeated)) == count


def turns(*keys: str) -> list[dict[str, Any]]:
    """A greeting, and what the agent says to each key; an item is named by its place."""
    said = ["Hello.", *(f"Caller entered {key} on the keypad." for key in keys)]
    return [{"seq": seq, "role": "agent", "text": text, "item_id": f"i{seq}"} for seq, text in enumerate(said)]


def test_turns_are_compared_with_keys() -> None:
    assert Turns.of("012", 2, turns("0", "1")) == Turns(keys=3, turns=3), "the last key's answer is not due yet"
    assert Turns.of("0123", 3, turns("0", "2")) == Turns(keys=4, turns=3, lost=1)
    assert Turns.of("012", 2, turns("0", "0", "1")) == Turns(keys=3, turns=4, again=1), "it was interrupted"
    assert Turns.of("012", 2, [*turns("0", "1"), turns("0")[1]]).doubled == 1
    assert Turns.of("01", 1, []) + Turns.of("01", 1, turns("0")) == Turns(keys=4, turns=2, lost=1)


def call(hung_up_by: str, *closed_by: str | None, says: str = "", verbs: str = "Connect") -> Any:
    """A call with a stream for each of `closed_by`; None is one that was never opened."""
    streams = [
        SimpleNamespace(
            started_at=None if each is None else 1.0,
            closed_by=each,
            playout=SimpleNamespace(segments=[1] if each else []),
        )
        for each in closed_by
    ]
    names = [SimpleNamespace(name=name) for name in verbs.split()]
    return SimpleNamespace(hung_up_by=hung_up_by, streams=streams, sentences=[says] if says else [], verbs=names)


SERVED, RESUMED = call("caller", "carrier"), call("caller", "nobody", "carrier")
REFUSED = call("agent", says=APOLOGY, verbs="Say Hangup")
LEFT_IN_SILENCE = call("caller", "nobody", None, verbs="Connect Connect")


def test_who_hears_an_agent_and_hangs_up_was_served() -> None:
    assert is_served(SERVED) and is_served(RESUMED)
    heard_both = call("caller", "carrier", says=APOLOGY, verbs="Connect Say")
    assert not any(map(is_served, (REFUSED, heard_both, call("agent", "agent"), call("caller", None))))


@pytest.mark.parametrize(
    ("caller", "end", "is_true"),
    [
        (SERVED, "completed caller", True),
        (SERVED, "completed stream_lost", False),
        (SERVED, "failed control_away", False),
        (RESUMED, "completed caller", True),
        (RESUMED, "failed stream_lost", False),
        (REFUSED, "failed control_away", True),
        (REFUSED, "completed caller", False),
        (LEFT_IN_SILENCE, "completed stream_lost", True),
        (call("caller", None), "canceled caller", True),
        (call("caller", None), "completed caller", False),
        (SERVED, "", False),
    ],
)
def test_a_record_says_how_the_call_ended(caller: Any, end: str, is_true: bool) -> None:
    status, _, reason = end.partition(" ")
    assert has_true_end(caller, {"status": status, "end_reason": reason} if end else None) == is_true


@pytest.mark.bench
@pytest.mark.timeout(300)
def test_a_fault_alone(tmp_path: Path) -> None:
    """The worker is killed six times: callers have nothing to do with it."""
    name, file = "worker, six times", tmp_path / "faults.json"
    main(["--calls", "2", "--seconds", "3", "--rings-per-second", "1", "--only", name, "--json", str(file)])
    (row,) = json.loads(file.read_text())["rows"]
    assert row["fault"] == name and row["rang"] >= FAULTS[name].seconds
    assert {effect: row[effect] for effect in ("refused", "cut", "wrong", "turns_lost", "turns_doubled")} == {
        "refused": 0,
        "cut": 0,
        "wrong": 0,
        "turns_lost": 0,
        "turns_doubled": 0,
    }
