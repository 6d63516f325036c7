"""Calls with a model that hears and speaks at once."""

from collections.abc import Callable

import pytest

from media.core.types import TurnEnded
from sandbox.openai.script import Turn
from tests.media.core.duplex import GREETED, LivePhone
from tests.support.simulation import World


def test_the_model_hears_the_caller_and_is_heard(world: World) -> None:
    phone = LivePhone(world)
    phone.live.answers(Turn(say="We are open on Monday and on Tuesday", latency_ms=200))
    phone.after(1_000)
    phone.speak(1_000)
    phone.after(8_000)
    assert phone.live.refusals == []
    assert [(turn.role, turn.text, turn.interrupted) for turn in phone.turns()] == [
        ("caller", "text of user_1", False),
        ("agent", phone.live.live.sentences[0].text, False),
    ]
