"""A caller who hears: 20 ms in, 20 ms out.  Listens until the agent has finished, asks the brain, and speaks after a person's pause.

States: listening; thinking (recognition and synthesis run beside the frames); speaking.  Before the caller speaks they look again: if the
agent has gone on meanwhile, the words are put back and the caller listens on, unless this is an interruption that the persona orders.
Example: the agent finishes at 4.0 s; at 4.9 s the caller thinks, at 5.3 s they speak.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise
from random import Random

import numpy as np

from evals.brains import Action, Brain
from evals.scenario import Persona
from evals.validity import Conduct
from realtime.audio import decode, encode
from sandbox.audio import BYTES_PER_MS, FRAME_BYTES, FRAME_MS, is_audible
from sandbox.twilio.caller import Caller, CallerFrame

QUIET_MS = 900
#: After which a person takes what they heard for a question.
INSISTING_MS = 3_000
PAUSE_MS = (300, 900)
#: Between sentences that are recognized apart: after a longer silence recognition may take a sentence for the end.
SPURT_GAP_MS = 500
HELLO = "Hello?"

Ears = Callable[[bytes], Awaitable[str]]
Mouth = Callable[[str], Awaitable[bytes]]
Thought = tuple[Action, bytes]


class LiveCaller(Caller):
    """A person with a brain, ears and a mouth, whose pauses and noise are drawn from the seed."""

    def __init__(self, brain: Brain, persona: Persona, ears: Ears, mouth: Mouth, seed: int) -> None:
        self._brain, self._persona, self._ears, self._mouth = brain, persona, ears, mouth
        self._random, self._noise = Random(seed), np.random.default_rng(seed)
        self._interrupts = {interrupt.turn: interrupt for interrupt in persona.interrupts}
        self._heard = bytearray()
        self._thought: asyncio.Task[Thought] | None = None
        self._is_ordered = False
        self._talk_over_ms = 0
        self.actions: list[Action] = []
        self.heard_words: list[str] = []
        self.gave_up = False
        super().__init__(stay=True)

    @property
    def conduct(self) -> Conduct:
        return Conduct(self.actions, self._talk_over_ms)

    def leave(self) -> None:
        """Stop thinking: the call is over."""
        if self._thought is not None:
            self._thought.cancel()

    def frame(self, agent_audible: bool, agent_audio: bytes = b"") -> CallerFrame:
        self._heard += agent_audio
        out = super().frame(agent_audible, agent_audio)
        if self._persona.noise_dbfs is not None:
            hiss = self._noise.normal(0, 32_768 * 10 ** (self._persona.noise_dbfs / 20), FRAME_BYTES)
            out.payload = encode(np.clip(decode(out.payload) + hiss, -32_768, 32_767).astype(np.int16))
        return out

    def _run_steps(self) -> Iterator[None]:
        yield
        silent_ms, hellos, waits_for_more, has_insisted = 0, 0, False, False
        while True:
            silent_ms = 0 if self.agent.audible_now else silent_ms + FRAME_MS
            if self.agent.audible_now:
                waits_for_more = has_insisted = False
            if self._thought is not None and self._thought.done():
                action, audio = self._thought.result()
                self._thought = None
                if self.agent.audible_now and not self._is_ordered:
                    self._brain.put_back(action)
                    continue
                self.actions.append(action)
                if action.do == "hang_up":
                    yield from self._act("hang_up")
                    return
                if action.do == "wait":
                    waits_for_more = True
                    continue
                yield from self._speak(audio)
                silent_ms = 0
                continue
            if silent_ms > self._persona.patience_s * 1000 and self._thought is None:
                if hellos:
                    self.gave_up = True
                    yield from self._act("hang_up")
                    return
                hellos, silent_ms = 1, 0
                self._begin(self._say_hello(), is_ordered=False)
            elif waits_for_more and not has_insisted and silent_ms >= INSISTING_MS and self._thought is None:
                has_insisted = True
                self._begin(self._think(insists=True), is_ordered=False)
            elif self._thought is None and self._interrupts_now():
                self._begin(self._interrupt(self._interrupts.pop(self._turn).say), is_ordered=True)
            elif self._thought is None and self.agent.has_finished(QUIET_MS) and not waits_for_more:
                self._begin(self._think(), is_ordered=False)
            yield

    @property
    def _turn(self) -> int:
        """The agent's answer that the caller hears, from 1."""
        return sum(action.do == "say" for action in self.actions)

    def _interrupts_now(self) -> bool:
        interrupt = self._interrupts.get(self._turn)
        return interrupt is not None and self.agent.audible_now and self.agent.has_talked(interrupt.after_ms)

    def _begin(self, thought: Awaitable[Thought], *, is_ordered: bool) -> None:
        self._is_ordered = is_ordered
        self._thought = asyncio.ensure_future(thought)

    async def _say_hello(self) -> Thought:
        return Action("say", HELLO, phrase="hello"), self._at_level(await self._mouth(HELLO))

    async def _interrupt(self, words: str) -> Thought:
        return Action("say", words, phrase="interruption"), self._at_level(await self._mouth(words))

    async def _think(self, *, insists: bool = False) -> Thought:
        pause = asyncio.create_task(asyncio.sleep(self._random.uniform(*PAUSE_MS) / 1000))
        heard = " ".join([await self._ears(spurt) for spurt in spurts(bytes(self._heard))])
        self.heard_words.append(heard)
        action = self._brain.answer(heard, insists=insists)
        audio = self._at_level(await self._mouth(action.text)) if action.do == "say" else b""
        await pause
        return action, audio

    def _at_level(self, audio: bytes) -> bytes:
        gain = 10 ** (self._persona.level_db / 20)
        return encode(np.clip(decode(audio) * gain, -32_768, 32_767).astype(np.int16))

    def _speak(self, audio: bytes) -> Iterator[None]:
        # The agent's rest, which the caller speaks over, is no question of its own.
        for _ in self._say(audio, self._turn):
            if self.agent.audible_now and not self._is_ordered:
                self._talk_over_ms += FRAME_MS
            yield
        self._heard.clear()


def spurts(audio: bytes) -> list[bytes]:
    """Cut audio in the middle of each long silence."""
    cuts, silent_ms, spoke = [0], 0, False
    for start in range(0, len(audio), FRAME_BYTES):
        if not is_audible(audio[start : start + FRAME_BYTES]):
            silent_ms += FRAME_MS
            continue
        if spoke and silent_ms >= SPURT_GAP_MS:
            cuts.append(start - silent_ms // 2 * BYTES_PER_MS)
        silent_ms, spoke = 0, True
    return [audio[start:end] for start, end in pairwise([*cuts, len(audio)])]
