"""A scenario by texts: the simulated person writes over the stand-in carrier, reads what reaches their handset, and answers.

They write first, once a turn: the next text goes when the agent has finished its turn and all of its texts have arrived.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.clinic import Client
from evals.brains import Action, brain_of
from evals.runner import Called, CallFailed
from evals.scenario import Scenario
from evals.validity import Conduct
from evals.world import RunningWorld
from hum.clock import monotonic_ms

POLL_SECONDS = 0.2
#: For a turn of the agent, with its tools.
ANSWER_SECONDS = 60.0
UNFINISHED = frozenset({"waiting", "running"})
#: A text that has not reached the carrier yet.
LEAVING = frozenset({"queued"})


@dataclass(frozen=True, slots=True)
class AgentTurn:
    """What came of a text: the agent's texts as they arrived, and when the first did."""

    texts: Sequence[str]
    answered_ms: float


class Handset:
    """A person's telephone, and their conversation with a number of the organization."""

    def __init__(self, client: Client, carrier_url: str, own: str, number: tuple[str, str]) -> None:
        self._client, self._carrier_url, self._own = client, carrier_url, own
        self._e164, self._number_id = number
        self._conversation = ""
        self._seen = 0

    async def converse(self, wanted: Scenario, world: RunningWorld) -> Called:
        """Write, read and answer until the person has nothing more to say.  Raises CallFailed, RequestFailed, TimeoutError."""
        brain, began_ms = brain_of(wanted), monotonic_ms()
        action, actions = brain.begin(), list[Action]()
        transcript, answers_ms, gave_up = list[Mapping[str, Any]](), list[int](), False
        while action.do == "say" and monotonic_ms() - began_ms < wanted.most_seconds * 1000:
            actions.append(action)
            transcript.append({"role": "caller", "text": action.text})
            sent_ms = monotonic_ms()
            await self._send(action.text)
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    turn = await self._answer(len(actions))
            except TimeoutError:
                gave_up = True
                break
            transcript += [{"role": "agent", "text": text} for text in turn.texts]
            if turn.texts:
                answers_ms.append(round(turn.answered_ms - sent_ms))
            action = brain.answer(" ".join(turn.texts), insists=True)
        seconds = (monotonic_ms() - began_ms) / 1000
        record = {
            "id": self._conversation,
            "transcript": transcript,
            "tool_activity": [tool for run in await self._runs() for tool in run["tool_activity"]],
            "interruptions": [],
            "latency": {"turns": [{"first_answer_ms": answer_ms} for answer_ms in answers_ms]},
            "duration_seconds": round(seconds),
        }
        heard = [turn["text"] for turn in transcript if turn["role"] == "agent"]
        return Called(record, [], Conduct(actions), gave_up, seconds, 0.0, heard, world.state, world.gaps)

    async def _send(self, text: str) -> None:
        message = {"to": self._e164, "from": self._own, "body": text}
        async with self._client.http.post(f"{self._carrier_url}/sandbox/texts", json=message) as answer:
            if answer.status != 201:
                raise CallFailed(f"the stand-in carrier refuses a text: {await answer.text()}")

    async def _answer(self, turns: int) -> AgentTurn:
        """Wait until the agent's turn number `turns` is over; return its texts."""
        answered_ms = 0.0
        while True:
            texts = await self._arrived()
            if len(texts) > self._seen and not answered_ms:
                answered_ms = monotonic_ms()
            if await self._has_finished(turns):
                texts = await self._arrived()
                new, self._seen = texts[self._seen :], len(texts)
                return AgentTurn(new, answered_ms or monotonic_ms())
            await asyncio.sleep(POLL_SECONDS)

    async def _has_finished(self, turns: int) -> bool:
        runs = await self._runs()
        if len(runs) < turns or any(run["status"] in UNFINISHED for run in runs):
            return False
        page = await self._client.get(f"/api/sms/conversations/{self._conversation}/messages?limit=200")
        return not any(
            message["direction"] == "outbound" and message["status"] in LEAVING for message in page["messages"]
        )

    async def _runs(self) -> Sequence[Mapping[str, Any]]:
        """Return the agent's turns so far, oldest first."""
        if not self._conversation:
            query = f"number_id={self._number_id}&q={self._own.removeprefix('+')}"
            found = (await self._client.get(f"/api/sms/conversations?{query}"))["conversations"]
            if not found:
                return []
            self._conversation = found[0]["id"]
        page = await self._client.get(f"/api/sms/conversations/{self._conversation}/runs?limit=200")
        return list(reversed(page["runs"]))

    async def _arrived(self) -> Sequence[str]:
        """Return the texts that have reached the handset, oldest first."""
        url = f"{self._carrier_url}/sandbox/texts"
        async with self._client.http.get(url, params={"to": self._own}) as answer:
            texts = (await answer.json())["texts"]
        return [text["body"] for text in reversed(texts) if text["arrived_at"]]
