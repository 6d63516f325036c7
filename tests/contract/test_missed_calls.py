"""A call that nobody answered, from the carrier's ringing to the text that it is given to send."""

from typing import Any

from control import jobs, readers
from control.feature import Reader
from control.texts import missedcalls, textingback
from storage.events import ReaderStart
from tests.contract.conftest import Edge
from tests.contract.inbox import reasons
from tests.contract.test_carrier_webhooks import CALL, post
from tests.contract.test_sms_delivery import send

TEXT = "Sorry we missed you, {{contact.first_name|friend}}. What can we do for you?"
READER = Reader(textingback.READER, ReaderStart.BEGINNING, textingback.EVENTS, textingback.enqueue, 1.0, shares=True)


async def work(edge: Edge) -> None:
    """What a worker does once: read events, run the jobs, send what is due."""
    db = edge.plane.control.db
    await readers.read(db, READER)
    async with db.system() as tx:
        rows = await tx.fetch(
            "DELETE FROM pgqueuer WHERE entrypoint = $1 RETURNING payload", missedcalls.TEXT_BACK.name
        )
    for row in rows:
        await textingback.text_back(db, frozenset(), *jobs.read_payload(row["payload"]))
    await send(edge)


async def number(edge: Edge, **fields: Any) -> tuple[Any, str]:
    """A number of a new organization that nobody answers."""
    http = await edge.client()
    made = await http.post("/api/numbers", json={"e164": CALL["To"]})
    assert made.status_code == 201, made.text
    path = f"/api/numbers/{made.json()['id']}"
    assert made.json()["missed_call_text"] is None
    assert (await http.patch(path, json={"sms_enabled": True, **fields})).status_code == 200
    return http, path


async def test_whoever_reached_nobody_has_one_text_from_the_carrier(edge: Edge) -> None:
    http, path = await number(edge, missed_call_text=TEXT)
    assert (await http.get(path)).json()["missed_call_text"] == TEXT
    for sid in ("CA1", "CA2"):
        assert (await post(edge, "/twilio/voice", CALL | {"CallSid": sid})).status_code == 200
        await work(edge)
    (text,) = edge.plane.carrier.texted.values()
    assert (text.from_e164, text.to_e164, text.body) == (
        CALL["To"], CALL["From"], "Sorry we missed you, friend. What can we do for you?",
    )  # fmt: skip
    (thread,) = (await http.get("/api/sms/conversations")).json()["conversations"]
    assert (thread["contact_e164"], thread["status"]) == (CALL["From"], "open")


async def test_a_number_without_a_text_sends_none(edge: Edge) -> None:
    http, path = await number(edge, missed_call_text=TEXT)
    assert (await http.patch(path, json={"missed_call_text": None})).json()["missed_call_text"] is None
    await post(edge, "/twilio/voice", CALL)
    await work(edge)
    assert edge.plane.carrier.texted == {}


async def test_a_text_that_can_not_be_sent_is_refused(edge: Edge) -> None:
    http = await edge.client()
    for text, reason in (
        ("", "must hold something"),
        ("Hi {{contact.name}}", "needs a default for contact.name"),
        ("{{nobody|x}}", "is unknown"),
        ("x" * 1601, "1600"),
    ):
        made = await http.post("/api/numbers", json={"e164": CALL["To"], "sms_enabled": True, "missed_call_text": text})
        assert reason in reasons(made)["missed_call_text"], text
    assert (await http.get("/api/numbers")).json()["numbers"] == [] and edge.plane.carrier.pointed == {}


async def test_it_needs_texts(edge: Edge) -> None:
    http, path = await number(edge)
    await http.patch(path, json={"sms_enabled": False})
    refused = await http.patch(path, json={"missed_call_text": TEXT})
    assert refused.status_code == 400 and "its texts on" in reasons(refused)["missed_call_text"], refused.text
    assert (await http.patch(path, json={"missed_call_text": TEXT, "sms_enabled": True})).status_code == 200
