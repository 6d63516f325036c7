"""A false interruption, after which the agent resumes, over and over, on a line without jitter: not a sample is lost, none is heard twice."""

from collections.abc import Callable
from random import Random

import pytest

from media.core.modelmessages import TurnModel
from media.core.plans import Prompt, PromptKind
from media.core.types import BargedIn
from media.io.silero import Silero
from sandbox.speech import Speech
from tests.support.examples import sample
from tests.support.plans import call_plan, changed
from tests.support.sentences import spoken
from tests.support.simulation import Phone

SECONDS = 40
GREETING = Random(1).randbytes(8_000 * SECONDS)
PLAN = changed(
    call_plan("", TurnModel("m", "marin", "t"), idle_gaps_ms=(12_000,)),
    prompts={PromptKind.GREETING: Prompt("word " * 200, GREETING)},
)


@pytest.mark.sampled
@pytest.mark.parametrize("seed", sample(range(12), 4))
def test_what_is_resumed_goes_on_at_the_very_sample(make_phone: Callable[..., Phone], seed: int) -> None:
    random = Random(seed)
    phone = make_phone(PLAN, random.uniform(0, 150), 0.0, seed, deaf=True)
    for n in range(22):
        phone.after(random.uniform(900, 1_900))
        phone.speak(random.choice([80, 120, 180]), seed=n)
    phone.after(60_000)
    assert {each.verdict for each in phone.told(BargedIn)} == {"resumed"}
    assert len(phone.told(BargedIn)) >= 10
    assert phone.carrier.heard(phone.world.now) == GREETING


@pytest.mark.speech
@pytest.mark.bench
@pytest.mark.skipif(not Speech.available(), reason="needs the extra `speech`")
def test_what_is_said_goes_on_at_the_very_sample_after_nods_that_are_spoken(make_phone: Callable[..., Phone]) -> None:
    """The agent speaks with a voice, the caller nods with one, and the detector over the agent judges."""
    silero, lines = Silero.load(), spoken()
    said = b"".join(frame for _ in range(5) for line in lines for frame in (*line, *[b"\xff" * 160] * 10))
    plan = changed(PLAN, prompts={PromptKind.GREETING: Prompt("word " * 200, said)})
    nods = 0
    for seed in range(4):
        random = Random(seed)
        phone = make_phone(plan, random.uniform(0, 150), 0.0, seed, confirm=silero.detector(), deaf=True)
        for _ in range(22):
            phone.after(random.uniform(1_200, 2_000))
            phone.frames += random.choice(lines)[: random.choice([10, 12, 15])]
        phone.after(90_000)
        assert {each.verdict for each in phone.told(BargedIn)} == {"resumed"}
        nods += len(phone.told(BargedIn))
        assert phone.carrier.heard(phone.world.now) == said
    assert nods >= 60
