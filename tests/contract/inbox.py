"""Conversations of tests over REST, and texts that contacts have sent."""

from typing import Any
from uuid import UUID

import httpx

from control.texts import threads
from hum import ids
from hum.clock import now
from hum.ids import Kind
from storage import conversations, messages, numbers
from storage.numbers import NumberRow
from tests.contract.conftest import Browser, Edge

ANN, BOB, CARL = "+13175551234", "+13175551235", "+13175551236"
CLOSED, STATE = (409, "conversation_closed"), (409, "invalid_state")
#: Sent at any hour.
NOW = {"honor_quiet_hours": False}
Client = httpx.AsyncClient | Browser


async def numbered(edge: Edge, http: Client, e164: str = "+13175550100") -> str:
    """A number of the organization's that texts."""
    sid = f"PN{ids.new().hex}"
    row = NumberRow(ids.new(), e164, sid, None, None, None, True, ["voice", "sms"], "active", now(), None)
    async with edge.plane.control.db.tenant(await organization(http)) as tx:
        await numbers.create(tx, row)
    return ids.show(Kind.NUMBER, row.id)


async def started(http: Client, number: str, contact: str = ANN, **more: Any) -> dict[str, Any]:
    answer = await http.post(
        "/api/sms/conversations", json={"twilio_number_id": number, "contact_e164": contact, **more}
    )
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


async def listed(http: Client, **query: Any) -> list[str]:
    answer = await http.get("/api/sms/conversations", params=query)
    assert answer.status_code == 200, answer.text
    return [each["contact_e164"] for each in answer.json()["conversations"]]


async def organization(http: Client) -> UUID:
    return ids.require(Kind.ORGANIZATION, (await http.get("/api/me")).json()["organization"]["id"])


async def receive(edge: Edge, thread: dict[str, Any], org: UUID, body: str = "Hello?") -> None:
    """A text that the contact has sent."""
    id = ids.require(Kind.CONVERSATION, thread["id"])
    async with edge.plane.control.db.tenant(org) as tx:
        found = await conversations.lock(tx, id)
        sid = f"SM{ids.new().hex}"
        await messages.receive(tx, ids.new(), org, id, found.number_e164, found.contact_e164, body, 1, sid, ())
        await threads.reopen(tx, found, "contact")
        await conversations.touch(tx, id, now(), body, "inbound", opens=True)


async def happened(http: Client, type: str = "") -> list[dict[str, Any]]:
    """The events of conversations, the oldest first."""
    found = (await http.get("/api/events", params={"limit": 200})).json()["events"]
    return [each for each in found if each["type"].startswith(type or "conversation.")]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def reasons(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 400, answer.text
    return {each["field"]: each["reason"] for each in answer.json()["error"]["details"]}
