"""Files of texts over REST: uploaded by who may write, sent once, and fetched by the carrier alone."""

import base64
from typing import Any

import httpx

from control.base.filelinks import FileLinks
from control.delivery.feature import FILES_PATH
from control.texts.claims import Claims
from control.texts.lookups import TextLookups
from control.texts.posting import TextPoster
from control.texts.sender import TextSender
from gateway.texts import FILES
from hum.process import home
from tests.contract.conftest import PUBLIC, Edge
from tests.contract.inbox import ANN, NOW, code, numbered, reasons, started
from tests.control.texts.desk import LIMITS, TIMES

PNG = b"\x89PNG\r\n\x1a\npicture"
RAW = {"Content-Type": "application/octet-stream"}


async def upload(http: httpx.AsyncClient, content: bytes = PNG, **headers: str) -> dict[str, Any]:
    answer = await http.post("/api/sms/uploads", content=content, headers={**RAW, **headers})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def send(edge: Edge) -> list[str]:
    """Do what a worker does once; return the paths of the files that the carrier was told to fetch."""
    db, carrier = edge.plane.control.db, edge.plane.carrier
    links = FileLinks(home.node_keys(edge.plane.settings), PUBLIC + FILES_PATH)
    poster = TextPoster(db, carrier, TextLookups(db, carrier, TIMES), PUBLIC, LIMITS, links)
    await TextSender(db, Claims(db, LIMITS), poster, LIMITS).send_due()
    return [url.removeprefix(PUBLIC) for text in carrier.texted.values() for url in text.media_urls]


async def test_an_upload_is_sent_shown_and_fetched(edge: Edge) -> None:
    http, other, viewer = await edge.client(), await edge.client("Other"), await edge.client("Third", "viewer")
    thread = await started(http, await numbered(edge, http))
    made = await upload(http)
    assert (made["content_type"], made["size_bytes"]) == ("image/png", len(PNG))
    path = f"/api/sms/conversations/{thread['id']}/messages"
    sent = await http.post(path, json={"upload_ids": [made["id"]], **NOW})
    assert sent.status_code == 201, sent.text
    (media,) = sent.json()["media"]
    own = f"/api/sms/messages/{sent.json()['id']}/media/0"
    assert (media["status"], media["url"], media["size_bytes"]) == ("stored", own, len(PNG))
    assert (await http.get(own)).content == PNG
    for stranger in (other, viewer):
        assert (await stranger.get(own)).status_code == 404
    assert FILES == FILES_PATH
    (link,) = await send(edge)
    assert link.startswith(FILES)
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as carrier:
        answer = await carrier.get(link)
        assert (answer.status_code, answer.content) == (200, PNG)
        head = await carrier.head(link)
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(PNG)))
        for each in (answer, head):
            assert each.headers["content-type"] == "image/png"
            assert each.headers["x-content-type-options"] == "nosniff"
            assert each.headers["content-disposition"] == 'inline; filename="file-1.png"'
            assert each.headers["content-security-policy"] == "sandbox; default-src 'none'"
        for wrong in (
            link[:-1] + ("A" if link[-1] != "A" else "B"),
            link + "A" * 300,
            FILES + "nonsense",
            FILES + "%00",
        ):
            assert (await carrier.get(wrong)).status_code == 404
        assert (await carrier.post(link)).status_code == 405
        # Signed in or not, the link opens this file and nothing else.
        assert (await carrier.get(own)).status_code == 401
    again = await http.post(path, json={"upload_ids": [made["id"]], **NOW})
    assert list(reasons(again)) == ["upload_ids[0]"]
    assert (await http.delete(f"/api/sms/uploads/{made['id']}")).status_code == 404, "it belongs to its text"


async def test_who_may_not_upload_or_use_an_upload(edge: Edge) -> None:
    http, other, viewer = await edge.client(), await edge.client("Other"), await edge.client("Third", "viewer")
    reader = await edge.client("Fourth", "operator", ("sms:read",))
    for refused in (viewer, reader):
        answer = await refused.post("/api/sms/uploads", content=PNG, headers=RAW)
        assert answer.status_code == 403, answer.text
    theirs = await upload(other)
    thread = await started(http, await numbered(edge, http))
    path = f"/api/sms/conversations/{thread['id']}/messages"
    for stranger in (theirs["id"], "upl_nonsense", thread["id"]):
        assert list(reasons(await http.post(path, json={"upload_ids": [stranger], **NOW}))) == ["upload_ids[0]"]
    assert (await http.delete(f"/api/sms/uploads/{theirs['id']}")).status_code == 404
    assert (await other.delete(f"/api/sms/uploads/{theirs['id']}")).status_code == 204
    person = await edge.signed_in()
    await person.post("/api/organizations", json={"name": "Clinic"})
    assert (await person.request("POST", "/api/sms/uploads", content=PNG, headers=RAW)).status_code == 201
    await person.post("/auth/logout")
    assert (await person.request("POST", "/api/sms/uploads", content=PNG, headers=RAW)).status_code in (401, 403)


async def test_the_bytes_decide_and_the_names_do_not(edge: Edge) -> None:
    http = await edge.client()
    form = {"content": ("picture.png", b"<html><script>alert(1)</script>", "image/png")}
    assert "carrier does not take" in reasons(await http.post("/api/sms/uploads", files=form))["content"]
    form = {"content": ("page.html", PNG, "text/html")}
    answer = await http.post("/api/sms/uploads", files=form)
    assert (answer.status_code, answer.json()["content_type"]) == (201, "image/png")
    for content, word in ((b"", "empty"), (b"<svg/>", "kind"), (PNG.ljust(5_000_001, b"\0"), "larger than 5 MB")):
        assert word in reasons(await http.post("/api/sms/uploads", content=content, headers=RAW))["content"]
    most = await upload(http, PNG.ljust(5_000_000, b"\0"))
    assert most["size_bytes"] == 5_000_000
    assert reasons(await http.post("/api/sms/uploads", json={}))["content"]
    encoded = await http.post("/api/sms/uploads", json={"content": base64.b64encode(PNG).decode()})
    assert encoded.status_code == 201


async def test_a_repeated_request_sends_once(edge: Edge) -> None:
    http = await edge.client()
    number = await numbered(edge, http)
    made = [await upload(http, PNG, **{"Idempotency-Key": "upload-1"}) for _ in range(2)]
    assert made[0] == made[1]
    body = {"twilio_number_id": number, "contact_e164": ANN, "initial_message": {"upload_ids": [made[0]["id"]], **NOW}}
    for _ in range(2):
        answer = await http.post("/api/sms/conversations", json=body, headers={"Idempotency-Key": "text-1"})
        assert answer.status_code == 201, answer.text
    assert len(await send(edge)) == 1
    twice = {**body, "initial_message": {"upload_ids": [made[0]["id"]] * 2}}
    assert code(await http.post("/api/sms/conversations", json=twice)) == (400, "invalid_request")
