"""Those who are to be served while others flood: the carrier, and a tenant; and what a process takes meanwhile."""

import asyncio
import math
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from hum import ids
from hum.connectionoverrides import OVERRIDES
from sandbox.twilio import sign

MB: Final = 1 << 20
#: How long the carrier waits for an answer before it asks again, as we ask it to.
CARRIER_SECONDS: Final = int(re.findall(r"rt=(\d+)", OVERRIDES)[0]) / 1000
#: On a machine whose cores are busy with other things: so many times what it takes without a flood.
SLOWER: Final = 10
EVERY_SECONDS: Final = 0.1
#: The observer's own patience, which is no figure of the server's.
ASKS_SECONDS: Final = 60.0


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]


class Memory:
    """How much memory a process takes beyond what it took when this was made, at its peak, as the kernel counts it."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
        self._before = self._bytes("VmRSS")

    @property
    def growth(self) -> int:
        return self._bytes("VmHWM") - self._before

    def _bytes(self, name: str) -> int:
        (kilobytes,) = re.findall(rf"{name}:\s+(\d+) kB", self._status.read_text())
        return int(kilobytes) << 10


@dataclass
class Bystanders:
    """What the carrier and a tenant saw, each asking all the time, on a connection of its own each time."""

    #: Seconds until each of the carrier's webhooks was answered.
    webhooks_s: list[float] = field(default_factory=list)
    #: Webhooks without the answer that is due.
    unanswered: list[str] = field(default_factory=list)
    #: What the tenant's requests were answered: a status, or an error.
    answers: Counter[str] = field(default_factory=Counter)
    memory: Mapping[str, Memory] = field(default_factory=dict)

    @property
    def refused(self) -> int:
        return sum(count for answer, count in self.answers.items() if not answer.startswith("2"))

    def row(self, name: str) -> str:
        """Return a row of the table of docs/benchmarks/faults.md."""
        memory = ", ".join(f"{part} +{each.growth / MB:.0f} MB" for part, each in self.memory.items())
        p50, worst = percentile(self.webhooks_s, 0.5), max(self.webhooks_s)
        return f"| {name} | {p50:.2f} s, {worst:.2f} s ({len(self.webhooks_s)}) | {self.refused} of {self.answers.total()} | {memory} |"

    def require(self, alone_s: float, most_bytes: Mapping[str, int]) -> None:
        """Fail unless all were served: webhooks within the carrier's patience, where they took `alone_s` without a flood."""
        assert not self.unanswered, self.unanswered[:3]
        assert self.webhooks_s and max(self.webhooks_s) <= max(CARRIER_SECONDS, SLOWER * alone_s)
        assert self.answers and not self.refused, self.answers
        for part, most in most_bytes.items():
            assert (growth := self.memory[part].growth) <= most, f"{part} grew by {growth / MB:.0f} MB"


async def short_call(http: httpx.AsyncClient, url: str, account: str, token: str, number: str, caller: str) -> float:
    """Have the carrier announce a call, and that it is over; return the seconds until the agent was connected."""

    async def tell(path: str, **form: str) -> httpx.Response:
        fields = {"CallSid": call_sid, "AccountSid": account, "From": caller, "To": number, **form}
        signature = sign(token, url + path, list(fields.items()))
        answer = await http.post(url + path, data=fields, headers={"X-Twilio-Signature": signature})
        assert answer.is_success, answer.text
        return answer

    call_sid, began_s = f"CA{ids.new().hex}", time.monotonic()
    twiml = (await tell("/twilio/voice", CallStatus="ringing")).text
    took_s = time.monotonic() - began_s
    assert "<Connect" in twiml, twiml
    await tell("/twilio/voice/status", CallStatus="completed")
    return took_s


#: Returns the seconds until the carrier was answered.
Webhook = Callable[[httpx.AsyncClient], Awaitable[float]]


@asynccontextmanager
async def bystanders(
    pids: Mapping[str, int],
    webhook: Webhook,
    ask: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]],
    **client: object,
) -> AsyncIterator[Bystanders]:
    """Have both ask while the block lasts; `webhook` raises AssertionError without the right answer."""
    seen, stop = Bystanders(memory={part: Memory(pid) for part, pid in pids.items()}), asyncio.Event()

    async def carrier() -> None:
        while not stop.is_set():
            async with _client(client) as http:
                try:
                    seen.webhooks_s.append(await webhook(http))
                except (httpx.HTTPError, AssertionError) as error:
                    seen.unanswered.append(repr(error))
            await asyncio.sleep(EVERY_SECONDS)

    async def tenant() -> None:
        while not stop.is_set():
            async with _client(client) as http:
                try:
                    answer = await ask(http)
                    seen.answers[str(answer.status_code)] += 1
                except httpx.HTTPError as error:
                    seen.answers[type(error).__name__] += 1
            await asyncio.sleep(EVERY_SECONDS)

    asking = asyncio.gather(carrier(), tenant())
    try:
        yield seen
    finally:
        stop.set()
        await asking


def _client(options: Mapping[str, object]) -> httpx.AsyncClient:
    return httpx.AsyncClient(**{"trust_env": False, "timeout": ASKS_SECONDS, **options})  # type: ignore[arg-type]
