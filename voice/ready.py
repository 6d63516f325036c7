"""A cascade with its servers, shared by a process's calls.

Where all servers of a stage refuse every request (a wrong key, a model that is gone), calls are refused until one of them works again:
each of them is tried every `RETRY_SECONDS`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from hum.cascades import Cascade, EarsStage, MindStage, MouthStage
from hum.observe.logs import log
from hum.settings import VoiceSettings
from voice import trials
from voice.ears import HttpEars
from voice.mouth import HttpMouth
from voice.stages import Chain, StageRequests
from voice.trials import StageTrial

LOG = log(__name__)
RETRY_SECONDS = 15.0


class ReadyCascade:
    """A cascade whose servers can be asked."""

    def __init__(self, cascade: Cascade, requests: StageRequests, settings: VoiceSettings) -> None:
        self.cascade, self._requests = cascade, requests
        self._hearing = Chain[EarsStage]("ears", cascade.ears)
        self.minds = Chain[MindStage]("mind", cascade.mind)
        self._speaking = Chain[MouthStage]("mouth", cascade.mouth)
        self.ears = HttpEars(self._hearing, requests, settings.voice_hearing_seconds)
        self.mouth = HttpMouth(self._speaking, requests)
        self._recovery: asyncio.Task[None] | None = None

    @property
    def fault(self) -> str:
        """Why no call can be taken; empty if one can."""
        chains = (self._hearing, self.minds, self._speaking)
        return next((f"all servers of its {chain.kind} fail: {chain.fault}" for chain in chains if chain.fault), "")

    def recover(self) -> None:
        """Try what fails for good until it works."""
        if self._recovery is None or self._recovery.done():
            LOG.error("a cascade takes no calls", reason=self.fault)
            self._recovery = asyncio.create_task(self._recover(), name="recover")

    async def close(self) -> None:
        if self._recovery is not None:
            self._recovery.cancel()
            with suppress(asyncio.CancelledError):
                await self._recovery

    async def _recover(self) -> None:
        while self.fault:
            await asyncio.sleep(RETRY_SECONDS)
            await self._try(self._hearing, trials.of_ears)
            await self._try(self.minds, trials.of_mind)
            await self._try(self._speaking, trials.of_mouth)
        LOG.info("a cascade takes calls again")

    async def _try(self, chain: Chain[Any], attempt: Callable[[Any, StageRequests], Awaitable[StageTrial]]) -> None:
        for stage in chain.stages if chain.fault else ():
            trial = await attempt(stage, self._requests)
            if not trial.error:
                chain.worked(stage)
