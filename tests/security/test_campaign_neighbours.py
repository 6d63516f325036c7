"""One organization's campaign delays no other's conversation or call: processes as an operator runs them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from control.identity import usecases as identity
from hum import ids
from sandbox.twilio import sign
from storage.db import Db
from tests.support.runningplatform import ACCOUNT, FAST, NUMBER, TOKEN, Platform, start_platform
from tests.support.waits import until

pytestmark = [pytest.mark.strain, pytest.mark.timeout(600)]
OTHERS_NUMBER = "+13175550101"
RECIPIENTS = 3000
#: The campaign's texts that may leave while one text or call of somebody else is served, of the thousands that wait.
MOST_OVERTAKEN = RECIPIENTS // 10
ROUNDS = 20
#: All of it, on a busy machine.
CAMPAIGN_SECONDS = 300.0
ADD_NUMBER = """
    INSERT INTO numbers (id, org_id, e164, carrier_sid, friendly_name, capabilities, status, sms_enabled, flow_id)
    SELECT $1, $2, $3, 'PNother', $3, '{voice,sms}', 'active', true, id FROM flows WHERE org_id = $2
 RETURNING id
"""


@dataclass
class Neighbour:
    """Another organization, with a number that is called and texts."""

    made: Platform
    http: httpx.AsyncClient
    number: str

    @property
    def taken(self) -> int:
        """How many texts the carrier has been asked to send."""
        return self.made.carrier.texting.book.requests_in_all

    async def text(self, contact: str) -> int:
        """Text somebody; return how many other texts the carrier was asked for until it had this one."""
        before, book = self.taken, self.made.carrier.texting.book
        body = {"twilio_number_id": self.number, "contact_e164": contact, "initial_message": {"body": "Your table."}}
        answer = await self.http.post("/api/sms/conversations", json=body)
        assert answer.status_code == 201, answer.text
        await until(lambda: any(each.to == contact for each in book.requests), within_s=CAMPAIGN_SECONDS)
        place = next(n for n, each in enumerate(reversed(book.requests)) if each.to == contact)
        return self.taken - place - 1 - before

    async def ring(self, caller: str) -> int:
        """Call the number; return how many texts the carrier was asked for until the call was answered."""
        before, path = self.taken, "/twilio/voice"
        form = {
            "CallSid": f"CA{ids.new().hex}", "AccountSid": ACCOUNT, "From": caller, "To": OTHERS_NUMBER, "CallStatus": "ringing",
        }  # fmt: skip
        signature = sign(TOKEN, f"{self.http.base_url}".rstrip("/") + path, list(form.items()))
        answer = await self.http.post(path, data=form, headers={"X-Twilio-Signature": signature})
        assert answer.status_code == 200 and "<Connect" in answer.text, answer.text
        return self.taken - before


@pytest.fixture
async def neighbour(tmp_path: Path) -> AsyncIterator[Neighbour]:
    settings = {**FAST, "HUM_MEDIA_URL": "ws://127.0.0.1:1", "lookup_days": "0"}
    async with start_platform(tmp_path / "home", settings=settings, more_numbers=[OTHERS_NUMBER]) as made:
        db = await Db.open(made.database_url, size=2)
        org = await identity.create_organization(db, "Other", "owner@other.example")
        _, secret = await identity.issue_key(db, org, "other", "admin", [])
        key = {"Authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(base_url=made.http.base_url, headers=key, trust_env=False, timeout=60) as http:
            flow = await http.post("/api/flows", json={"name": "F", "greeting": "Hi"})
            assert flow.status_code == 201, flow.text
            async with db.system() as tx:
                assert await tx.fetchval(ADD_NUMBER, ids.new(), org, OTHERS_NUMBER)
            await db.close()
            (number,) = (await http.get("/api/numbers")).json()["numbers"]
            yield Neighbour(made, http, number["id"])


async def launched(made: Platform) -> str:
    """A campaign of the first organization that leaves as fast as it can; its path."""
    body = {"name": "News", "twilio_number_id": made.number, "body_template": "It is time to refill."}
    path: str = "/api/sms/campaigns/" + (await made.ask("POST", "/api/sms/campaigns", json=body))["id"]
    contacts: list[dict[str, Any]] = [{"contact_e164": f"+1317{5000000 + n}"} for n in range(RECIPIENTS)]
    for chunk in range(0, RECIPIENTS, 1000):
        await made.ask("POST", f"{path}/recipients", json={"recipients": contacts[chunk : chunk + 1000]})
    await made.ask("POST", f"{path}/launch")
    return path


async def test_a_campaign_is_overtaken_by_another_organizations_texts_and_calls(neighbour: Neighbour) -> None:
    made = neighbour.made
    path = await launched(made)
    await until(lambda: neighbour.taken >= RECIPIENTS // 20, within_s=CAMPAIGN_SECONDS)
    texts, calls = list[int](), list[int]()
    for n in range(ROUNDS):
        text, call = await neighbour.text(f"+1317777{1000 + n}"), await neighbour.ring(f"+1317778{1000 + n}")
        if neighbour.taken >= RECIPIENTS:
            break  # the campaign is over
        texts.append(text)
        calls.append(call)
    assert len(texts) >= ROUNDS // 4, "most of it was beside the campaign"
    assert max(texts) <= MOST_OVERTAKEN and max(calls) <= MOST_OVERTAKEN, (texts, calls)
    await until(lambda: neighbour.taken >= RECIPIENTS + len(texts), within_s=CAMPAIGN_SECONDS)
    assert {each.from_ for each in made.carrier.texting.book.requests} == {NUMBER, OTHERS_NUMBER}
    assert (await made.ask("GET", path))["counts"]["failed"] == 0
