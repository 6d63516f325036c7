"""An interruption that is taken back, over and over, on a line without jitter: not a sample is lost, none is heard twice."""

from dataclasses import replace
from random import Random

import pytest

from media.core.types import BargedIn, CallPlan, Clip, ClipKind

SECONDS = 40
GREETING = Random(1).randbytes(8_000 * SECONDS)
PLAN = replace(CallPlan("", "v", "m", "t", idle_prompts=0), clips={ClipKind.GREETING: Clip("word " * 200, GREETING)})


@pytest.mark.parametrize("seed", range(12))
def test_what_is_resumed_goes_on_at_the_very_sample(make_phone, seed):
    random = Random(seed)
    phone = make_phone(PLAN, random.uniform(0, 150), 0.0, seed, deaf=True)
    for n in range(22):
        phone.after(random.uniform(900, 1_900))
        phone.speak(random.choice([80, 120, 180]), seed=n)
    phone.after(60_000)
    assert {each.verdict for each in phone.told(BargedIn)} == {"resumed"}
    assert len(phone.told(BargedIn)) >= 10
    assert phone.carrier.heard(phone.world.now) == GREETING
