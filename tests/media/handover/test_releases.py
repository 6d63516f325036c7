"""A call that moves to a release whose classes differ in a field, and back."""

from pathlib import Path

import pytest

from media.handover.snapshot import pack, unpack
from tests.media.handover import nextrelease
from tests.media.handover.nextrelease import Request
from tests.media.handover.simulated import HERE, acted, renewed, run
from tests.support.simulation import Phone

pytestmark = pytest.mark.calls
SEED = 3


@pytest.mark.parametrize("cut_ms", [5_100, 9_300, 17_500])
def test_a_call_goes_on_in_the_next_release_and_in_the_one_before(tmp_path: Path, cut_ms: int) -> None:
    nextrelease.make(tmp_path)
    stayed = acted(run([cut_ms], renewed, SEED))
    given: list[bytes] = []
    run([cut_ms], lambda phone: given.append(pack(phone.talk)), SEED, until=cut_ms)
    outcome = nextrelease.resume_in(tmp_path, Request(given[0], cut_ms, SEED))
    assert outcome.acted == stayed
    assert outcome.moods[:2] == [7, "calm"] and set(outcome.moods[2:]) <= {"new"}

    def back(phone: Phone) -> None:
        assert b"mood" in outcome.snapshot
        phone.talk = unpack(outcome.snapshot, HERE)

    assert acted(run([cut_ms], back, SEED)) == stayed
