"""Calls with a duplex model in virtual time."""

from typing import Any

from media.core.modelmessages import DuplexModel
from media.core.plans import CallPlan, Prompt, PromptKind
from media.core.types import TurnEnded
from tests.support.livemodel import LiveModel
from tests.support.plans import call_plan, changed
from tests.support.simulation import Phone, World

MODEL = DuplexModel("gpt-live-1.1", "marin")
GREETING = bytes(range(1, 251)) * 64  # 2 s
BARE = call_plan("Be kind.", MODEL)
GREETED = changed(BARE, prompts={PromptKind.GREETING: Prompt("Hello and welcome to the shop", GREETING)})


class LivePhone(Phone):
    """A whole call with a duplex model."""

    live: LiveModel

    def __init__(
        self,
        world: World,
        plan: CallPlan = BARE,
        *,
        delay: float = 40.0,
        jitter: float = 0.0,
        model_jitter: float = 0.0,
        **model: Any,
    ) -> None:
        self.silent_line = False  # the carrier sends no frames
        super().__init__(world, plan, delay, jitter)
        self.live = LiveModel(world, self._from_model, jitter=model_jitter, **model)
        self.model = self.live  # type: ignore[assignment]  # has what a phone needs of a model

    def _frame(self) -> None:
        if not self.silent_line:
            super()._frame()

    def turns(self) -> list[TurnEnded]:
        return self.told(TurnEnded)
