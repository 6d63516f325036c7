"""What `hum demo` compares HUM's figures with: what the carrier really played."""

from types import SimpleNamespace
from typing import Any, cast

from cli.simulate import heard_before_clear


def call(segments: list[tuple[float, int]], clears: list[float]) -> Any:
    """A call in which the agent was heard from each start for so many ms, and was cleared at these times."""
    played = [SimpleNamespace(start_ms=at, end_ms=at + ms, payload=bytes(8 * ms)) for at, ms in segments]
    playout = SimpleNamespace(segments=played, clears=[SimpleNamespace(received_at_ms=at) for at in clears])
    return cast("Any", SimpleNamespace(streams=[SimpleNamespace(playout=playout)]))


def test_each_interruption_is_compared_with_its_own_clear() -> None:
    """The first was taken back: the agent went on where it had stopped, and was cut later."""
    twice = call([(1_000, 235), (1_500, 2_871)], clears=[1_235, 4_371])
    assert heard_before_clear(twice, 1_180) == 235
    assert heard_before_clear(twice, 4_300) == 235 + 2_871


def test_a_call_without_an_interruption_has_no_such_figure() -> None:
    assert heard_before_clear(call([(0, 500)], clears=[]), 0) is None
