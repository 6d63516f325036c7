"""The carrier in virtual time: its webhooks are answered by a function, and hours take milliseconds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sandbox.loopclock import VirtualLoop, now
from sandbox.twilio.exchange import Account, Exchange
from sandbox.twilio.farend import Person
from sandbox.twilio.webhooks import ConnectionOverrides, Courier, Webhook, WebhookAttempt

ACCOUNT, NUMBER, PERSON, DESK = "AC" + "a" * 32, "+13175550100", "+14155550123", "+13175550199"
T = TypeVar("T")


class Desk(Courier):
    """The customer's URLs: path → TwiML, or a function of the fields; `asked` are the requests, with their times."""

    def __init__(self, **answers: str | bytes | Callable[[dict[str, str]], str]) -> None:
        super().__init__("token")
        self.answers: dict[str, Any] = answers
        self.asked: list[tuple[float, str, dict[str, str]]] = []

    async def _attempt(self, webhook: Webhook, _: ConnectionOverrides) -> WebhookAttempt:
        path = webhook.url.rpartition("/")[2]
        self.asked.append((now(), path, webhook.parameters))
        answer = self.answers.get(path, "")
        body = answer(webhook.parameters) if callable(answer) else answer
        if isinstance(body, bytes):
            return WebhookAttempt(now(), status=200, content_type="audio/wav", content=body)
        return WebhookAttempt(now(), status=200 if body else 204, content_type="text/xml", body=body)

    def fields(self, path: str) -> dict[str, str]:
        return next(fields for _, asked, fields in self.asked if asked == path)

    def all(self, path: str) -> list[dict[str, str]]:
        return [fields for _, asked, fields in self.asked if asked == path]

    def at(self, path: str) -> float:
        return next(moment for moment, asked, _ in self.asked if asked == path)


class House(Exchange):
    """An account whose number is answered by the desk."""

    def __init__(self, desk: Desk, **settings: Any) -> None:
        super().__init__(Account(ACCOUNT, "token"), [NUMBER], courier=desk, **settings)
        self.desk = desk
        number = self.numbers.find(NUMBER)
        assert number is not None
        number.configure({"voice_url": "http://h/voice"})

    async def settled(self) -> None:
        """Until nothing is under way any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def set_people(self, e164: str, *people: Person) -> None:
        self.people[e164] = list(people)


def virtually(work: Callable[[], Awaitable[T]]) -> T:
    """Run in virtual time, from its zero on."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(_main(work))
    finally:
        loop.close()


async def _main(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
