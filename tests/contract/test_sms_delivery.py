"""What became of a text over REST, from the worker's attempt to the carrier's signed callback and a person's decision."""

from datetime import timedelta

from control.texts.claims import Claims
from control.texts.lookups import TextLookups
from control.texts.posting import TextPoster
from control.texts.sender import TextSender
from hum.contract.errors import CarrierError
from tests.contract.conftest import ACCOUNT, Edge
from tests.contract.inbox import ANN, NOW, numbered, started
from tests.contract.test_text_webhooks import post
from tests.control.texts.desk import LIMITS, LINKS, TIMES


async def send(edge: Edge) -> TextLookups:
    """What a worker does once."""
    db, carrier = edge.plane.control.db, edge.plane.carrier
    lookups = TextLookups(db, carrier, TIMES)
    poster = TextPoster(db, carrier, lookups, "https://hum.example", LIMITS, LINKS)
    await TextSender(db, Claims(db, LIMITS), poster, LIMITS).send_due()
    return lookups


async def test_a_message_with_its_attempts_and_the_carriers_words(edge: Edge) -> None:
    http, other = await edge.client(), await edge.client("Other")
    thread = await started(http, await numbered(edge, http))
    sent = await http.post(f"/api/sms/conversations/{thread['id']}/messages", json={"body": "Hello", **NOW})
    path = f"/api/sms/messages/{sent.json()['id']}"
    assert (await http.get(path)).json()["attempts"] == []
    await send(edge)
    ((sid, text),) = edge.plane.carrier.texted.items()
    url = text.status_url.partition("#")[0].removeprefix("https://hum.example")
    for status in ("delivered", "sent", "delivered"):
        form = {"MessageSid": sid, "MessageStatus": status, "To": ANN, "From": text.from_e164, "AccountSid": ACCOUNT}
        assert (await post(edge, form, url)).status_code in (200, 204)
    found = (await http.get(path)).json()
    assert found["message"]["status"] == "delivered" and found["message"]["delivered_at"]
    (attempt,) = found["attempts"]
    assert (attempt["number"], attempt["state"], attempt["carrier_sid"], attempt["carrier_status"]) == (
        1, "accepted", sid, "delivered",
    )  # fmt: skip
    assert [(each["status"], each["source"]) for each in attempt["words"]] == [
        ("queued", "answer"), ("delivered", "callback"), ("sent", "callback"), ("delivered", "callback"),
    ]  # fmt: skip
    assert (await other.get(path)).status_code == 404
    assert (await http.post(f"{path}/resolve", json={"as": "sent"})).status_code == 409


async def test_a_person_decides_about_an_unknown_message(edge: Edge) -> None:
    http, other = await edge.client(), await edge.client("Other")
    thread = await started(http, await numbered(edge, http))
    sent = await http.post(f"/api/sms/conversations/{thread['id']}/messages", json={"body": "Hello", **NOW})
    id, carrier = sent.json()["id"], edge.plane.carrier
    carrier.lose_texts, carrier.fail = [CarrierError("", http_status="503")], CarrierError("away")
    lookups = await send(edge)
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE message_attempts SET started_at = started_at - $1::interval", timedelta(hours=2))
    await lookups.look_up_unconfirmed_texts()
    assert (await http.get("/api/sms/unknown")).json()["messages"] == [], "it was looked for once"
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE message_attempts SET sought_at = sought_at - $1::interval", timedelta(hours=2))
    await lookups.look_up_unconfirmed_texts()
    listed = (await http.get("/api/sms/unknown")).json()
    assert [(each["id"], each["status"]) for each in listed["messages"]] == [(id, "unknown")]
    assert (await other.get("/api/sms/unknown")).json()["messages"] == []
    path = f"/api/sms/messages/{id}/resolve"
    assert (await other.post(path, json={"as": "sent"})).status_code == 404
    viewer = await edge.client("Viewer", role="viewer")
    assert (await viewer.post(path, json={"as": "sent"})).status_code == 403
    for bad in ({}, {"as": "delivered"}, {"as": None}, {"as": "unspecified"}):
        assert (await http.post(path, json=bad)).status_code == 400, bad
    again = await http.post(path, json={"as": "send_again"})
    assert again.status_code == 200 and again.json()["status"] == "queued", again.text
    assert (await http.post(path, json={"as": "send_again"})).status_code == 409
    assert (await http.get("/api/sms/unknown")).json()["messages"] == []
    await send(edge)
    assert len(carrier.texted) == 2
    (entry,) = [each for each in (await http.get("/api/audit-log")).json()["entries"] if id in str(each)][:1]
    assert "resolve" in str(entry).lower(), entry
