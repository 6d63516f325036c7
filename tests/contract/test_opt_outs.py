"""Opt-outs and files of texts over REST."""

from typing import Any

import httpx

from control.clients.twilio_media import File
from control.mms import jobs
from control.mms.mediatypes import FileLimits
from hum import ids
from hum.ids import Kind
from hum.objects.files import Files
from tests.contract.conftest import Edge
from tests.contract.test_text_webhooks import CONTACT, TEXT, post, rows, set_up

OUT = "/api/sms/opt-outs"


async def told(edge: Edge) -> list[str]:
    return [row["type"] for row in await rows(edge, "SELECT type FROM events WHERE type LIKE 'sms.opt%' ORDER BY id")]


async def test_opting_out_and_in(edge: Edge) -> None:
    http, other = await edge.client(), await edge.client("Other")
    for _ in range(2):
        answer = await http.post(OUT, json={"contact_e164": CONTACT})
        assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    assert shown.pop("changed_at")
    assert shown == {
        "contact_e164": CONTACT,
        "opted_out": True,
        "source": "api",
        "keyword": None,
        "message_id": None,
        "carrier_blocked": False,
    }
    assert await told(edge) == ["sms.opt_out"]
    for path in (f"{OUT}/{CONTACT}", f"{OUT}/%2B{CONTACT[1:]}"):
        assert (await http.get(path)).json()["contact_e164"] == CONTACT
        assert (await other.get(path)).status_code == (await other.delete(path)).status_code == 404
    assert (await other.get(OUT)).json()["opt_outs"] == []
    assert [each["contact_e164"] for each in (await http.get(OUT)).json()["opt_outs"]] == [CONTACT]
    for path in (f"{OUT}/{CONTACT}", f"{OUT}/%2B{CONTACT[1:]}"):
        assert (await http.delete(path)).status_code == 204
    assert await told(edge) == ["sms.opt_out", "sms.opt_in"]
    assert (await http.get(OUT)).json()["opt_outs"] == []
    assert (await http.get(f"{OUT}/{CONTACT}")).json()["opted_out"] is False
    assert (await http.delete(f"{OUT}/+13175550000")).status_code == 404
    for bad in ({}, {"contact_e164": "AMAZON"}, {"contact_e164": None}, {"contact_e164": "13175550199"}):
        assert (await http.post(OUT, json=bad)).status_code == 400, bad


async def test_a_viewer_and_a_key_without_the_scope_change_nothing(edge: Edge) -> None:
    for role, scopes in (("viewer", ()), ("operator", ("sms:read",)), ("admin", ("calls:write",))):
        http = await edge.client(f"C{role}", role=role, scopes=scopes)
        assert (await http.post(OUT, json={"contact_e164": CONTACT})).status_code == 403
        assert (await http.delete(f"{OUT}/{CONTACT}")).status_code == 403
    assert await told(edge) == []


async def test_pages_of_opt_outs_and_the_carriers_block(edge: Edge) -> None:
    http = await set_up(edge)
    assert (await post(edge, {**TEXT, "Body": "stop"})).status_code == 200
    async with edge.plane.control.db.system() as tx:
        await tx.execute(
            "INSERT INTO opt_outs (org_id, contact_e164, opted_out, source, changed_at) "
            "SELECT org_id, '+131755502' || lpad(n::text, 2, '0'), true, 'api', now() - interval '1 day' * (n / 2) "
            "FROM organizations, generate_series(10, 19) n"
        )
    seen = list[str]()
    cursor: str | None = ""
    while cursor is not None:
        page = (await http.get(OUT, params={"limit": 3, **({"cursor": cursor} if cursor else {})})).json()
        seen += [each["contact_e164"] for each in page["opt_outs"]]
        cursor = page["next_cursor"]
    assert seen == [CONTACT, *(f"+131755502{n}" for n in range(10, 20))]
    for contact, found in ((CONTACT, [CONTACT]), ("+13175559999", [])):
        one = (await http.get(OUT, params={"contact_e164": contact})).json()
        assert [each["contact_e164"] for each in one["opt_outs"]] == found and one["next_cursor"] is None
    assert (await http.get(OUT, params={"contact_e164": "13175559999"})).status_code == 400
    shown = (await http.get(f"{OUT}/{CONTACT}")).json()
    assert (shown["source"], shown["keyword"], shown["carrier_blocked"]) == ("keyword", "STOP", True)
    assert (await http.delete(f"{OUT}/{CONTACT}")).status_code == 204
    shown = (await http.get(f"{OUT}/{CONTACT}")).json()
    assert (shown["opted_out"], shown["carrier_blocked"], shown["source"]) == (False, True, "api")


# --- files ----------------------------------------------------------------------------------------------------------


async def test_a_file_is_served_as_what_it_is_and_to_nobody_else(edge: Edge) -> None:
    http, other = await set_up(edge), await edge.client("Other")
    urls = [f"https://api.twilio.com/{n}" for n in range(3)]
    contents = [
        File("image/jpeg", b"\xff\xd8 a picture"),
        File("application/pdf", b"%PDF"),
        File("text/html", b"<script>"),
    ]
    edge.plane.carrier.files = dict(zip(urls, contents, strict=True))
    form = {**TEXT, "NumMedia": "3"} | {f"MediaUrl{n}": url for n, url in enumerate(urls)}
    assert (await post(edge, form)).status_code == 200
    (row,) = await rows(edge, "SELECT id, org_id FROM messages")
    message = ids.show(Kind.MESSAGE, row["id"])
    path = f"/api/sms/messages/{message}/media"
    assert (await http.get(f"{path}/0")).status_code == 404, "it is not fetched yet"
    plane = edge.plane
    limits = FileLimits(1 << 20, 1 << 20, 24)
    await jobs.fetch(
        plane.control.db, plane.carrier, Files(plane.settings.recordings_dir), limits, row["org_id"], row["id"]
    )
    picture = await http.get(f"{path}/0")
    assert (picture.status_code, picture.content) == (200, contents[0].content)
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.headers["content-disposition"] == f'inline; filename="{message}.0"'
    for answer in (picture, pdf := await http.get(f"{path}/1")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "private, no-store"
    assert pdf.headers["content-disposition"].startswith("attachment")
    part = await http.get(f"{path}/0", headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, contents[0].content[2:5])
    gone: list[httpx.Response] = [
        await http.get(f"{path}/{bad}") for bad in ("2", "3", "-1", "x", "9" * 300, "\u0661", "0 ")
    ]
    assert {answer.status_code for answer in gone} == {404}
    assert (await http.get(f"/api/sms/messages/{ids.show(Kind.MESSAGE, ids.new())}/media/0")).status_code == 404
    assert (await other.get(f"{path}/0")).status_code == 404
    blind = await edge.client("Blind", scopes=("calls:read",))
    assert (await blind.get(f"{path}/0")).status_code == 403
