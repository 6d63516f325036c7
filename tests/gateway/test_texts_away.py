"""Control, or its database, goes away while texts come in: none is lost, none is doubled, and each keeps its place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from sandbox.twilio import sign
from tests.gateway.test_control_away import ACCOUNT, CALLER, NUMBER, PUBLIC, TOKEN, Carrier, Deployment
from tests.support.waits import patience

SMS, FALLBACK, STATUS = "/twilio/sms", "/twilio/sms/fallback", "/twilio/sms/status/send_01HVN3Z9X0C4T7W8A5B6D7E8F9"
EVERYTHING = """
    SELECT (SELECT array_agg(m ORDER BY m.id) FROM messages m)::text, (SELECT array_agg(c) FROM conversations c)::text,
           (SELECT array_agg(o) FROM opt_outs o)::text, (SELECT count(*) FROM events), (SELECT count(*) FROM contacts)
"""


class Texter:
    """The carrier, which remembers what it sent."""

    def __init__(self) -> None:
        self.log = list[tuple[str, dict[str, str]]]()

    async def send(self, carrier: Carrier, sid: str, body: str, path: str = SMS) -> int:
        form = {"MessageSid": sid, "AccountSid": ACCOUNT, "From": CALLER, "To": NUMBER, "Body": body}
        form |= {"MessageStatus": "delivered"} if path == STATUS else {}
        self.log.append((path, form))
        return (await self.post(carrier, path, form)).status_code

    async def post(self, carrier: Carrier, path: str, form: dict[str, str]) -> httpx.Response:
        signature = sign(TOKEN, PUBLIC + path, list(form.items()))
        return await carrier.http.post(path, data=form, headers={"X-Twilio-Signature": signature}, timeout=60)

    async def replay(self, carrier: Carrier) -> None:
        """Whoever captured the requests sends them again."""
        for path, form in self.log:
            assert (await self.post(carrier, path, form)).status_code in {200, 204}


@pytest.fixture
async def deployment(database_url: str, tmp_path: Path) -> Deployment:
    made = Deployment(database_url, tmp_path)
    await made.set_up()
    return made


async def query(deployment: Deployment, sql: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(deployment.database_url)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


async def bodies(deployment: Deployment, count: int) -> list[str]:
    """What is stored, in the order of the thread, once there are so many."""
    async with patience():
        while True:
            rows = await query(deployment, "SELECT body FROM messages ORDER BY id")
            if len(rows) >= count:
                return [row["body"] for row in rows]
            await asyncio.sleep(0.05)


async def told(deployment: Deployment, count: int) -> None:
    async with patience():
        while deployment.told() < count:
            await asyncio.sleep(0.05)


@asynccontextmanager
async def database_away(deployment: Deployment) -> AsyncIterator[None]:
    base, _, name = deployment.database_url.rpartition("/")
    connection = await asyncpg.connect(f"{base}/postgres")
    await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
    await connection.execute("SELECT count(*) FROM (" + ending.replace("$1", f"'{name}'") + ") ended")
    try:
        yield
    finally:
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await connection.close()


async def test_texts_that_come_while_control_is_away_are_there_once_and_in_order(deployment: Deployment) -> None:
    texter = Texter()
    away = [f"while away {number}" for number in range(10)]
    async with deployment.gateway(ingress_seconds=0.2) as carrier:
        async with deployment.control():
            assert await texter.send(carrier, "SM0", "before") == 200
        for number, body in enumerate(away, 1):
            assert await texter.send(carrier, f"SM{number}", body) == 200
            if number % 3 == 0:  # its answer was lost, or late
                assert await texter.send(carrier, f"SM{number}", body, FALLBACK if number == 3 else SMS) == 200
        assert await texter.send(carrier, "SM20", "STOP") == 200
        assert await texter.send(carrier, "SM30", "", STATUS) == 204
    # The gateway is gone as well: the next one tells of what it kept, before control learns of anything newer.
    async with deployment.gateway(ingress_seconds=0.2, postponed_retry_seconds=0.5) as carrier:
        assert await texter.send(carrier, "SM21", "after that") == 200
        async with deployment.control():
            assert await bodies(deployment, 13) == ["before", *away, "STOP", "after that"]
            await told(deployment, 16)
            assert await texter.send(carrier, "SM22", "last") == 200
            assert (await bodies(deployment, 14))[-1] == "last"
            (state,) = await query(deployment, EVERYTHING)
            for _ in range(2):
                await texter.replay(carrier)
            assert await query(deployment, EVERYTHING) == [state]
    (thread,) = await query(deployment, "SELECT unread_count, last_message_preview FROM conversations")
    assert tuple(thread) == (14, "last")
    kinds = await query(
        deployment, "SELECT type, count(*) FROM events WHERE type ~ '^(sms|conversation)' GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(row) for row in kinds] == [("conversation.started", 1), ("sms.opt_out", 1), ("sms.received", 14)]


async def test_texts_that_come_while_the_database_is_away_are_there_once_and_in_order(deployment: Deployment) -> None:
    texter, sent = Texter(), [f"text {number}" for number in range(8)]
    async with deployment.control(), deployment.gateway(ingress_seconds=0.3) as carrier:
        assert await texter.send(carrier, "SM100", "before") == 200
        async with database_away(deployment):
            for number, body in enumerate(sent):
                assert await texter.send(carrier, f"SM{number}", body) == 200
        assert await bodies(deployment, 9) == ["before", *sent]
        await told(deployment, 8)
        (state,) = await query(deployment, EVERYTHING)
        await texter.replay(carrier)
        assert await query(deployment, EVERYTHING) == [state]


async def test_a_disk_that_is_full_loses_nothing_that_was_answered(deployment: Deployment) -> None:
    """What can't be kept is not thanked for: the carrier tries again, and has its fallback."""
    texter = Texter()
    async with deployment.gateway(ingress_seconds=0.1, postponed_webhooks=2) as carrier:
        statuses = [await texter.send(carrier, f"SM{number}", str(number)) for number in range(4)]
        assert statuses == [200, 200, 503, 503]
        assert await texter.send(carrier, "SM3", "3", FALLBACK) == 503
        async with deployment.control():
            await told(deployment, 2)
            assert await texter.send(carrier, "SM2", "2", FALLBACK) == 200
            assert await bodies(deployment, 3) == ["0", "1", "2"]


@pytest.mark.chaos
async def test_many_at_once_while_away_are_each_there(deployment: Deployment) -> None:
    texter = Texter()
    async with deployment.gateway(ingress_seconds=0.3) as carrier:
        sent: list[Any] = [texter.send(carrier, f"SM{number}", str(number)) for number in range(60) for _ in range(2)]
        assert set(await asyncio.gather(*sent)) == {200}
        async with deployment.control():
            assert sorted(await bodies(deployment, 60), key=int) == [str(number) for number in range(60)]
            await told(deployment, 120)
            assert len(await bodies(deployment, 60)) == 60
