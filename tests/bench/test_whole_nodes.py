"""Three nodes under load: one is killed, one is cut off from the database, one is deployed.  `python -m bench.whole`, shortened."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.whole.__main__ import CUT, DEPLOY, DIES, HEALED, QUIET, Course, measure
from bench.whole.nodes import missing

pytestmark = [pytest.mark.nodes, pytest.mark.timeout(400)]
SHORT = Course(
    calls=6,
    call_seconds=6,
    texts_per_second=2,
    requests_per_second=5,
    phase_seconds=6,
    away_seconds=6,
    restarts=False,
)
#: The longest that somebody hears nothing whose node was killed; on a busy machine.
SILENT_SECONDS = 10.0
#: The machine itself is too busy to judge requests by when its load could not run for so long.
LATE_SECONDS = 0.5


async def test_what_callers_notice(open_home: Path, record_property: Callable[[str, object], None]) -> None:
    if lacks := missing():
        pytest.skip("; ".join(lacks))
    found, facts = await measure(SHORT, open_home)
    row = {each.phase.name: each for each in found}
    for each in found:
        record_property(
            each.phase.name, f"{each.closed} closed, {each.refused} refused, {each.longest_silence:.1f} s silent"
        )
        assert (each.lost, each.doubled, each.not_taken) == (0, 0, 0), each
    assert all(row[name].texts and row[name].requests for name in (QUIET, DIES, CUT, HEALED, DEPLOY))
    assert sum(each.calls for each in found) >= 2 * SHORT.calls
    for name in (QUIET, DEPLOY):
        assert (row[name].refused, row[name].closed) == (0, 0), row[name]
    assert not row[QUIET].faults or facts.stalled_seconds > LATE_SECONDS, row[QUIET]
    # A request may meet a connection that its gateway is just closing; clients repeat it.  A machine that is late itself also refuses some.
    few = not row[DEPLOY].faults.keys() - {"closed"} and row[DEPLOY].faults["closed"] <= 2
    assert few or facts.stalled_seconds > LATE_SECONDS, row[DEPLOY]
    assert row[DIES].closed + row[DIES].refused == 0 and row[DIES].resumed > 0, "its calls go on in others"
    assert row[DIES].longest_silence <= SILENT_SECONDS + facts.stalled_seconds
