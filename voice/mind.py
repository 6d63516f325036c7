"""The mind of a session: a language model by `/chat/completions`, whose answer is spoken as it comes.

Calls are given out once the server has said that its answer is complete: what a server that fails had begun to call is not made, and
the next server continues what the caller has been told.  Example: the first server says "We are open." and breaks; the second one is
told that, and asked to continue; the answer stays one answer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any

from hum.cascades import MindStage
from realtime.mind import AnswerSituation, CallPart, SpokenPart, Take
from voice import chatwire
from voice.chatwire import BadStream, CallDraft, ChatStream
from voice.clauses import Clauses, cut, looks_like_a_call
from voice.metrics import STAGE_SECONDS
from voice.stages import Chain, StageFailed, StageRequests, StageUse, TellUse

MOST_ANSWER_BYTES = 4 << 20
#: A model whose answer is empty, or has calls that can't be made, is asked again so often.
MOST_CORRECTIONS = 2
#: How long a complete answer waits for its usage.
USAGE_SECONDS = 0.25


class ChatMind:
    """The mind of one session."""

    def __init__(self, chain: Chain[MindStage], requests: StageRequests, tell: TellUse) -> None:
        self._chain, self._requests, self._tell = chain, requests, tell
        self._tasks: set[asyncio.Task[None]] = set()

    def answer(self, situation: AnswerSituation, take: Take) -> Callable[[], None]:
        """Give `take` the parts of an answer as they come; return what stops that."""
        if situation.exact is not None:
            for piece in cut(situation.exact):
                take(SpokenPart(piece))
            take(None)
            return lambda: None
        task = asyncio.create_task(self._run(situation, take), name="mind")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return lambda: None if task.done() else _cancel(task)

    async def close(self) -> None:
        """Stop all answers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, situation: AnswerSituation, take: Take) -> None:
        try:
            await _Completion(self._chain, self._requests, self._tell, situation, take).run()
        # The session's answer fails with it, which logs it.
        except Exception as error:  # noqa: BLE001
            take(error)
        else:
            take(None)


def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()


async def _read_usage(chat: ChatStream, payloads: AsyncIterator[bytes]) -> None:
    """Read what follows a complete answer: its usage, from servers that tell it."""
    with suppress(TimeoutError, StageFailed, BadStream):
        async with asyncio.timeout(USAGE_SECONDS):
            async for payload in payloads:
                chat.feed(payload)


class _Completion:
    """One answer."""

    def __init__(
        self,
        chain: Chain[MindStage],
        requests: StageRequests,
        tell: TellUse,
        situation: AnswerSituation,
        take: Take,
    ) -> None:
        self._chain, self._requests, self._tell = chain, requests, tell
        self._situation, self._take = situation, take
        self._clauses = Clauses()
        self._asked_at: float | None = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Give out the whole answer.  Raises StageFailed."""
        corrections: list[Mapping[str, Any]] = []
        for _ in range(1 + MOST_CORRECTIONS):
            calls = await self._complete(corrections)
            problems = [(call, chatwire.problem(call, self._situation.tools)) for call in calls]
            wrong = [(call, sentence) for call, sentence in problems if sentence]
            if not wrong and (calls or self._clauses.spoken):
                for call in calls:
                    self._take(CallPart(call.name, call.arguments or "{}"))
                return
            corrections += [message for call, sentence in wrong for message in chatwire.correction(call, sentence)]
        raise StageFailed("the model's answers are empty, or call what it can't")

    async def _complete(self, corrections: Sequence[Mapping[str, Any]]) -> list[CallDraft]:
        """Say what the model says, and return its calls; a server that fails is followed by the next.  Raises StageFailed."""
        failure, loop = StageFailed("no server"), asyncio.get_running_loop()
        for stage in self._chain.order():
            began = loop.time()
            try:
                return await self._stream(stage, corrections)
            except BadStream as error:
                failure = StageFailed(str(error))
            except StageFailed as error:
                failure = error
            self._clauses.drop()
            self._chain.failed(stage, failure, loop.time() - began, self._tell)
        raise failure

    async def _stream(self, stage: MindStage, corrections: Sequence[Mapping[str, Any]]) -> list[CallDraft]:
        spoken = " ".join(self._clauses.spoken)
        body = chatwire.request(stage, self._situation, spoken, corrections)
        chat, clauses, loop = ChatStream(), self._clauses, asyncio.get_running_loop()
        began, first = loop.time(), None
        answer = self._requests.stream(stage, "/chat/completions", MOST_ANSWER_BYTES, json=body)
        async with aclosing(answer) as payloads:
            async for payload in payloads:
                pieces = clauses.add(chat.feed(payload))
                first = loop.time() if first is None and pieces else first
                self._say(pieces)
                if chat.is_complete or clauses.is_loop:
                    break
            if not chat.is_complete and not clauses.is_loop:
                raise StageFailed("its stream ended early", is_passing=True)
            written = chatwire.spoken_call(clauses.pending) if looks_like_a_call(clauses.pending) else None
            first = loop.time() if first is None else first
            self._say(clauses.rest())
            if not clauses.is_loop:
                await _read_usage(chat, payloads)
        self._chain.worked(stage)
        used = chat.usage
        took_ms = round((first - began) * 1000)
        self._tell(StageUse("mind", stage.model, took_ms, used.new_in, used.cached_in, used.completion_tokens))
        return chat.calls or ([written] if written is not None else [])

    def _say(self, pieces: Sequence[str]) -> None:
        for piece in pieces:
            if self._asked_at is not None:
                STAGE_SECONDS.labels("mind").observe(asyncio.get_running_loop().time() - self._asked_at)
                self._asked_at = None
            self._take(SpokenPart(piece))
