"""Contacts over REST: by hand, by file, and under the names that the carrier knows."""

import asyncio
import csv
import io
import json
import xml.etree.ElementTree as ET
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.contacts import csvfiles, imports
from hum import ids, visibletext
from hum.ids import Kind
from hum.v1 import runtime_pb2, runtime_pb2_grpc
from storage import contacts
from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import CALL, flow_with_number, post
from tests.control.contacts.test_csvfiles import cells
from tests.control.contacts.test_phone import SPELLINGS
from tests.support.examples import examples

ANN = {
    "phone_e164": "+13175551234",
    "name": "Ann O'Brien",
    "email": "ann@clinic.example",
    "company": "Müller & Söhne",
    "notes": "Prefers mornings.\nSpeaks German.",
    "tags": ["vip", "new patient"],
    "attributes_json": {"b": 1.10, "a": [1]},
}


async def made(http: httpx.AsyncClient, **fields: object) -> dict[str, object]:
    answer = await http.post("/api/contacts", json=fields)
    assert answer.status_code == 201, answer.text
    found: dict[str, object] = answer.json()
    return found


async def names(http: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await http.get("/api/contacts", params=query)
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json()["contacts"]]


async def test_a_contact_by_hand(edge: Edge) -> None:
    http = await edge.client()
    ann = await made(http, **ANN)
    assert {name: ann[name] for name in ANN} == ANN
    said = {"name", "email", "company", "attributes_json"}
    assert ann["source"] == {name: "user" if name in said else None for name in contacts.SOURCED}
    path = f"/api/contacts/{ann['id']}"
    assert (await http.get(path)).json() == ann
    taken = await http.post("/api/contacts", json={"phone_e164": ANN["phone_e164"]})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "already_exists")
    changed = (await http.patch(path, json={"company": None, "tags": ["new"]})).json()
    assert (changed["company"], changed["source"]["company"], changed["tags"]) == (None, None, ["new"])
    assert (changed["name"], changed["notes"]) == (ann["name"], ann["notes"])
    fixed = await http.patch(path, json={"phone_e164": "+13175550000"})
    assert fixed.json()["error"]["details"] == [{"field": "phone_e164", "reason": "can't be changed"}]
    assert (await http.delete(path)).status_code == 204
    assert (await http.get(path)).status_code == (await http.delete(path)).status_code == 404


async def test_one_400_names_what_is_wrong(edge: Edge) -> None:
    http = await edge.client()
    bad = {
        "phone_e164": "317",
        "name": " x",
        "email": "nobody",
        "notes": "",
        "tags": ["a,b"],
        "attributes_json": 1,
        "source": {},
    }
    details = (await http.post("/api/contacts", json=bad)).json()["error"]["details"]
    assert {each["field"].partition("[")[0] for each in details} == bad.keys()
    assert (await http.get("/api/contacts")).json()["contacts"] == []


@pytest.mark.sampled
async def test_many_at_once_make_one(edge: Edge) -> None:
    http = await edge.client()
    answers = await asyncio.gather(*(http.post("/api/contacts", json=ANN) for _ in range(examples(100, 30))))
    assert sorted({answer.status_code for answer in answers}) == [201, 409]
    assert [answer.status_code for answer in answers].count(201) == 1
    assert await names(http) == ["Ann O'Brien"]


async def test_search_and_pages(edge: Edge) -> None:
    http = await edge.client()
    for n in range(5):
        await made(http, phone_e164=f"+1317555010{n}", name=f"Bob {n}", tags=["vip"] if n % 2 else [])
    await made(http, **ANN)
    for q in (
        "ann", "obrien muller", "O'Br", "SOHNE", "söh", "ann@clinic", "clinic.example", "5551234", "(317) 555-1234",
        "317.555.1234", "+1 317-555-1234", "1234", "３１７５５５１２３４", "mull 5551",
    ):  # fmt: skip
        wanted = [] if q == "obrien muller" else ["Ann O'Brien"]
        assert await names(http, q=q) == wanted, q
    assert await names(http, q="o brien muller") == ["Ann O'Brien"]
    for q in ("nobody", "' OR true --", "!!!", "ann nobody", "'", "\\", "z:*|b", "9999"):
        assert await names(http, q=q) == [], q
    assert await names(http, tag="vip") == ["Ann O'Brien", "Bob 3", "Bob 1"]
    assert await names(http, tag="vip", q="bob") == ["Bob 3", "Bob 1"]
    assert await names(http, q="bo") == ["Bob 4", "Bob 3", "Bob 2", "Bob 1", "Bob 0"]
    first = (await http.get("/api/contacts", params={"q": "bob", "limit": 2})).json()
    await made(http, phone_e164="+13175550109", name="Bob late")
    rest = {"q": "bob", "limit": 10, "cursor": first["next_cursor"]}
    assert await names(http, **rest) == ["Bob 2", "Bob 1", "Bob 0"]
    assert (await http.get("/api/contacts", params={**rest, "q": "ann"})).json()["error"]["code"] == "invalid_cursor"


async def test_a_change_is_found_at_once(edge: Edge) -> None:
    http = await edge.client()
    ann = await made(http, **ANN)
    await http.patch(f"/api/contacts/{ann['id']}", json={"name": "Zoë", "tags": None})
    assert await names(http, q="zoe") == ["Zoë"]
    assert await names(http, q="brien") == await names(http, tag="vip") == []
    await http.delete(f"/api/contacts/{ann['id']}")
    assert await names(http, q="zoe") == []


async def test_a_higher_source_wins_and_what_is_taken_back_uncovers_the_lower(edge: Edge) -> None:
    http = await edge.client()
    id = (await made(http, phone_e164="+13175551234"))["id"]
    org, contact = await organization(http), ids.require(Kind.CONTACT, str(id))
    path, db = f"/api/contacts/{id}", edge.plane.control.db

    async def told() -> tuple[str | None, str | None]:
        got = (await http.get(path)).json()
        return got["name"], got["source"]["name"]

    assert await told() == (None, None)
    async with db.tenant(org) as tx:
        await contacts.record_lookup(tx, contact, {"name": "ACME INC", "caller_name": "ACME INC"})
    assert await told() == ("ACME INC", "lookup")
    await http.patch(path, json={"name": "Ann"})
    assert await told() == ("Ann", "user")
    async with db.tenant(org) as tx:
        await contacts.set_from_crm(tx, contact, {"name": "Acme, Inc."})
        await contacts.record_lookup(tx, contact, {"name": "ACME LLC"})
    assert await told() == ("Ann", "user")
    await http.patch(path, json={"name": None})
    assert await told() == ("Acme, Inc.", "crm")
    async with db.tenant(org) as tx:
        await contacts.set_from_crm(tx, contact, {"name": None})
    assert await told() == ("ACME LLC", "lookup")


async def organization(http: httpx.AsyncClient) -> UUID:
    return ids.require(Kind.ORGANIZATION, (await http.get("/api/me")).json()["organization"]["id"])


async def test_tenants_see_their_own(edge: Edge) -> None:
    http, other = await edge.client(), await edge.client("Other")
    ann = await made(http, **ANN)
    path = f"/api/contacts/{ann['id']}"
    for answer in (await other.get(path), await other.patch(path, json={"name": "x"}), await other.delete(path)):
        assert answer.status_code == 404
    assert await names(other, q="ann") == await names(other, tag="vip") == await names(other) == []
    theirs = await made(other, **{**ANN, "name": "Their Ann"})
    assert await names(http, q="ann") == ["Ann O'Brien"]
    assert (await other.get("/api/contacts/export")).text.count("Their Ann") == 1
    done = await imported(edge, other, "phone,name\n+13175551234,Changed")
    assert (await http.get(f"/api/contacts/imports/{done['id']}")).status_code == 404
    assert (await http.get(path)).json()["name"] == "Ann O'Brien"
    assert (await other.get(f"/api/contacts/{theirs['id']}")).json()["name"] == "Changed"


async def test_viewers_read_and_operators_write(edge: Edge) -> None:
    viewer = await edge.client("Viewers", role="viewer")
    assert (await viewer.get("/api/contacts")).status_code == 200
    assert (await viewer.get("/api/contacts/export")).status_code == 403
    for path, body in (("", {"phone_e164": "+13175551234"}), ("/import", {"csv": "phone"}), ("/backfill", {})):
        assert (await viewer.post(f"/api/contacts{path}", json=body)).json()["error"]["code"] == "forbidden"
    narrow = await edge.client("Narrow", role="operator", scopes=("calls:write",))
    assert (await narrow.get("/api/contacts")).json()["error"]["code"] == "insufficient_scope"


# --- files --------------------------------------------------------------------------------------------------------


async def imported(edge: Edge, http: httpx.AsyncClient, csv: str, **fields: object) -> dict[str, object]:
    """Import a file, as a worker does it; what came of it."""
    answer = await http.post("/api/contacts/import", json={"csv": csv, **fields})
    assert (answer.status_code, answer.json()["status"]) == (202, "queued"), answer.text
    return await worked(edge, http, answer.json()["id"])


async def worked(edge: Edge, http: httpx.AsyncClient, id: str) -> dict[str, object]:
    await imports.import_contacts(edge.plane.control.db, 0, await organization(http), ids.require(Kind.IMPORT, id))
    found: dict[str, object] = (await http.get(f"/api/contacts/imports/{id}")).json()
    assert (found["status"], bool(found["ended_at"])) == ("completed", True)
    return found


async def test_an_import_takes_the_good_and_tells_the_bad(edge: Edge) -> None:
    http = await flow_with_number(edge)  # +1317...: the region of numbers without a country code
    await made(http, **ANN)
    text = "phone,name,email\n(317) 555-1234,Ann B.,\n317.555.1235,Bob,bob@x.example\n12,Carl,carl\n"
    tried = await imported(edge, http, text, dry_run=True)
    assert (tried["created"], tried["updated"], tried["unchanged"], tried["bad_rows"]) == (1, 1, 0, 1)
    assert await names(http) == ["Ann O'Brien"]
    done = await imported(edge, http, text)
    own = {name: done[name] for name in ("id", "created_at", "ended_at", "dry_run")}
    assert done == {**tried, **own} and own["dry_run"] is False
    assert done["errors"] == [
        {"line": 4, "column": "phone", "reason": "is not a possible phone number"},
        {"line": 4, "column": "email", "reason": "is not an e-mail address"},
    ]
    assert await names(http) == ["Bob", "Ann B."]
    again = await imported(edge, http, text)
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, 2)
    ann = (await http.get("/api/contacts", params={"q": "ann"})).json()["contacts"][0]
    assert (ann["email"], ann["tags"]) == (ANN["email"], ANN["tags"]), "empty cells change nothing"


async def test_every_spelling_is_one_contact(edge: Edge) -> None:
    http = await edge.client()
    text = csvfiles.write([("phone", "name"), *((spelling, "Ann") for spelling in SPELLINGS)]).decode()
    alone = await imported(edge, http, text)
    assert (alone["created"], alone["bad_rows"]) == (1, 10), "without a region, the national spellings are bad rows"
    done = await imported(edge, http, text, default_region="US")
    assert (done["created"], done["updated"], done["unchanged"], done["duplicates"]) == (0, 0, 1, len(SPELLINGS) - 1)
    assert [each["phone_e164"] for each in (await http.get("/api/contacts")).json()["contacts"]] == ["+13175551234"]


async def test_a_text_that_is_no_list_is_refused(edge: Edge) -> None:
    http = await edge.client()
    for text in ("", "name\nAnn", '"phone', "phone\0\n1"):
        answer = await http.post("/api/contacts/import", json={"csv": text})
        assert answer.status_code == 400
        assert [each["field"] for each in answer.json()["error"]["details"]] == ["csv"]


async def test_a_file_may_be_the_body(edge: Edge) -> None:
    http = await edge.client()
    headers = {"Content-Type": "text/csv; charset=utf-8"}
    file = "\ufeffphone;name\r\n(317) 555-1234;Zoë\r\n".encode()
    path = "/api/contacts/import"
    tried = await http.post(path, params={"default_region": "US", "dry_run": "true"}, content=file, headers=headers)
    assert (tried.status_code, tried.json()["dry_run"]) == (202, True), tried.text
    assert (await worked(edge, http, tried.json()["id"]))["created"] == 1
    assert await names(http) == []
    sent = await http.post(path, params={"default_region": "US"}, content=file, headers=headers)
    assert (await worked(edge, http, sent.json()["id"]))["created"] == 1
    assert await names(http) == ["Zoë"]


async def test_a_form_may_be_the_body(edge: Edge) -> None:
    http = await edge.client()
    file = "phone,name\r\n(317) 555-1234,Zoë\r\n".encode()
    path = "/api/contacts/import"
    fields = {"default_region": "US", "dry_run": "1"}
    tried = await http.post(path, data=fields, files={"csv": ("contacts.csv", file, "text/csv")})
    assert (tried.status_code, tried.json()["dry_run"]) == (202, True), tried.text
    sent = await http.post(path, data={"default_region": "US"}, files={"csv": ("contacts.csv", file)})
    assert (await worked(edge, http, sent.json()["id"]))["created"] == 1
    assert await names(http) == ["Zoë"]
    large = b"phone\n" + b"1\n" * (2 << 16)
    assert (await http.post(path, files={"csv": ("large.csv", large)})).status_code == 202, "more than JSON may be"

    async def refused(data: dict[str, str], **files: bytes) -> list[tuple[str, str]]:
        answer = await http.post(path, data=data, files={name: (name, each) for name, each in files.items()})
        assert answer.status_code == 400, answer.text
        return [(each["field"], each["reason"]) for each in answer.json()["error"]["details"]]

    assert await refused({"dry_run": "maybe", "colour": "red"}, csv=b"phone\n1") == [
        ("dry_run", "must be true or false"),
        ("colour", "is not a field"),
    ]
    assert [field for field, _ in await refused({}, csv="phone,name\n1,Zoë".encode("latin-1"))] == ["csv"]
    assert [field for field, _ in await refused({}, file=b"phone\n1")] == ["file", "csv"]
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x"):
        answer = await http.post(path, content=b"--x\r\n", headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert (await http.post(path, files={"csv": ("x", b"phone\n" + b"1\n" * (8 << 19))})).status_code == 413


async def test_an_export_for_programs_needs_no_apostrophe(edge: Edge) -> None:
    http = await edge.client()
    ann = await made(http, **{**ANN, "notes": "=1+1"})
    path = "/api/contacts/export"
    harmless = (await http.get(path)).text
    assert harmless == (await http.get(path, params={"dialect": "spreadsheet"})).text
    assert "'+13175551234" in harmless and "'=1+1" in harmless
    written = (await http.get(path, params={"dialect": "plain"})).text
    (row,) = csv.DictReader(io.StringIO(written, newline=""))
    assert (row["phone_e164"], row["notes"], row["tags"]) == (ANN["phone_e164"], "=1+1", "vip;new patient")
    assert (await imported(edge, http, written))["unchanged"] == 1
    lines = await http.get(path, params={"dialect": "json_lines"})
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert lines.headers["content-disposition"] == 'attachment; filename="contacts.jsonl"'
    assert [json.loads(line) for line in lines.text.splitlines()] == [ann]
    assert (await http.get(path, params={"dialect": "excel"})).status_code == 400
    assert (await (await edge.client("Other")).get(path, params={"dialect": "json_lines"})).text == ""


async def test_what_is_no_file_is_refused(edge: Edge) -> None:
    http = await edge.client()

    async def refused(content: bytes, kind: str = "text/csv", **query: str) -> tuple[int, list[str]]:
        headers = {"Content-Type": kind}
        answer = await http.post("/api/contacts/import", params=query, content=content, headers=headers)
        return answer.status_code, [each.get("field", "") for each in answer.json()["error"]["details"]]

    assert await refused("phone,name\n1,Zoë".encode("latin-1")) == (400, ["csv"])
    assert await refused(b"phone\n1", colour="red") == (400, ["colour"])
    assert await refused(b'{"csv": "phone\\n1"}', "application/json", dry_run="true") == (400, ["dry_run"])
    assert (await refused(b"phone\n" + b"1\n" * (8 << 19)))[0] == 413
    assert (await refused(b"phone\n", "application/xml"))[0] == 415
    assert (await http.get("/api/contacts/imports/import_01HVN5J8Q0ZR4TB8M3C2Y7K6WD")).status_code == 404


@pytest.mark.strain
async def test_a_file_of_many_rows_is_one_request(edge: Edge) -> None:
    """More rows than a JSON body of this gateway holds, and more bad ones than are kept."""
    http = await edge.client()
    rows = [(f"+1317555{n:04d}" if n % 3 else "12", f"N {n}") for n in range(6000)]
    file = csvfiles.write([("phone", "name"), *rows])
    sent = await http.post("/api/contacts/import", content=file, headers={"Content-Type": "text/csv"})
    assert sent.status_code == 202, sent.text
    done = await worked(edge, http, sent.json()["id"])
    assert (done["created"], done["bad_rows"], done["rows"]) == (4000, 2000, 6000)
    errors = done["errors"]
    assert isinstance(errors, list) and len(errors) == 1000 and errors[0]["line"] == 2


async def test_only_so_many_imports_wait(edge: Edge) -> None:
    http, other = await edge.client(), await edge.client("Other")
    answers = [await http.post("/api/contacts/import", json={"csv": f"phone\n{n}"}) for n in range(21)]
    assert {answer.status_code for answer in answers[:20]} == {202}
    last = answers[-1]
    assert (last.status_code, last.json()["error"]["code"], last.headers["retry-after"]) == (429, "rate_limited", "60")
    assert (await other.post("/api/contacts/import", json={"csv": "phone"})).status_code == 202


async def test_an_import_takes_no_field_from_another_source(edge: Edge) -> None:
    http = await edge.client()
    id = str((await made(http, phone_e164="+13175551234"))["id"])
    async with edge.plane.control.db.tenant(await organization(http)) as tx:
        await contacts.record_lookup(tx, ids.require(Kind.CONTACT, id), {"name": "ACME INC"})
    await imported(edge, http, (await http.get("/api/contacts/export")).text)
    assert (await http.get(f"/api/contacts/{id}")).json()["source"]["name"] == "lookup"


@pytest.mark.strain
async def test_thousands_of_rows_come_and_go(edge: Edge) -> None:
    http = await edge.client()
    half = 900  # what fits into this gateway's body
    for part in range(3):
        rows = [(f"+1317{part}{n:06d}", f"N {n}") for n in range(half)]
        done = await imported(edge, http, csvfiles.write([("phone", "name"), *rows]).decode())
        assert done["created"] == half
    async with http.stream("GET", "/api/contacts/export") as answer:
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.headers["content-disposition"] == 'attachment; filename="contacts.csv"'
        lines = [line async for line in answer.aiter_lines()]
    assert (len(lines), lines[1]) == (1 + 3 * half, "'+13170000000,N 0,,,,,")


text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)
name = text.map(visibletext.line).filter(bool)
tag = st.from_regex(r"[\w=+@'-]([\w =+@'-]{0,8}[\w])?", fullmatch=True).filter(visibletext.is_visible)
people = st.fixed_dictionaries(
    {},
    optional={
        "name": name | st.sampled_from(["=cmd()", "+1", "-x", "@x", "'x", "''"]),
        "company": name,
        "notes": text | st.sampled_from(["=1\n+2", "\t", "'", " '=x "]),
        "tags": st.lists(tag, unique=True, max_size=3),
        "attributes_json": st.dictionaries(text, st.integers() | text, max_size=3),
    },
)


@pytest.mark.sampled
async def test_what_is_exported_is_imported(edge: Edge) -> None:
    runs = iter(range(1000))

    @settings(max_examples=examples(25, 4), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(people, max_size=4))
    def check(drawn: list[dict[str, object]]) -> None:
        asyncio.run_coroutine_threadsafe(there_and_back(drawn, next(runs)), loop).result()

    async def there_and_back(drawn: list[dict[str, object]], run: int) -> None:
        async with await edge.client(f"A{run}") as one, await edge.client(f"B{run}") as other:
            for n, fields in enumerate(drawn):
                await made(one, phone_e164=f"+1317555{n:04d}", **fields)
            written = (await one.get("/api/contacts/export")).text
            done = await imported(edge, other, written)
            assert (done["errors"], done["created"]) == ([], len(drawn))
            assert (await other.get("/api/contacts/export")).text == written
            again = await imported(edge, one, written)
            assert again["unchanged"] == len(drawn)

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(check)


@pytest.mark.sampled
async def test_any_csv_gets_an_answer(edge: Edge) -> None:
    http = await edge.client()

    @settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(["", "phone,name,tags\n", "phone;notes\n"]),
        st.text(max_size=80) | st.lists(cells).map(",".join),
    )
    def check(header: str, rest: str) -> None:
        sent = http.post("/api/contacts/import", json={"csv": header + rest, "default_region": "US"})
        answer = asyncio.run_coroutine_threadsafe(sent, loop).result()
        assert answer.status_code in {202, 400, 429}, answer.text

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(check)


# --- callers ------------------------------------------------------------------------------------------------------


async def test_a_caller_becomes_a_contact_that_the_agent_knows(edge: Edge) -> None:
    http = await flow_with_number(edge)
    await post(edge, "/twilio/voice", {**CALL, "CallerName": "ACME INC"})
    (contact,) = (await http.get("/api/contacts")).json()["contacts"]
    assert (contact["name"], contact["source"]["name"], contact["caller_name"]) == ("ACME INC", "lookup", "ACME INC")
    (call,) = (await http.get("/api/calls")).json()["calls"]
    assert call["contact"] == {
        "id": contact["id"],
        "name": "ACME INC",
        "phone_e164": CALL["From"],
        "company": None,
    }
    await http.patch(
        f"/api/contacts/{contact['id']}", json={"name": "Ann", "company": "Acme", "notes": "a\nb", "tags": ["vip"]}
    )
    again = await post(edge, "/twilio/voice", {**CALL, "CallSid": "CA2", "CallerName": "ACME INC"})
    instructions = await opened(edge, again.text, "CA2")
    assert instructions.partition("# Caller Context\n")[2].splitlines() == [
        "- name: Ann",
        f"- phone: {CALL['From']}",
        "- company: Acme",
        "- tags: vip",
        "- notes: a b",
    ]
    (contact,) = (await http.get("/api/contacts")).json()["contacts"]
    assert contact["name"] == "Ann"


async def opened(edge: Edge, twiml: str, call_sid: str) -> str:
    """The instructions of a call's agent."""
    parameter = ET.fromstring(twiml).find("Connect/Stream/Parameter")
    assert parameter is not None
    media = runtime_pb2_grpc.MediaServiceStub(edge.plane.channel)
    request = runtime_pb2.OpenSessionRequest(
        token=str(parameter.get("value")), call_sid=call_sid, stream_sid="MZ1", node="m"
    )
    session = await media.OpenSession(request, metadata=edge.plane.node())
    return str(session.instructions)


async def test_a_backfill_is_begun_once_and_tells_how_far_it_is(edge: Edge) -> None:
    http = await flow_with_number(edge)
    assert (await http.get("/api/contacts/backfill")).status_code == 404
    await post(edge, "/twilio/voice", CALL)
    begun = await http.post("/api/contacts/backfill")
    assert (begun.status_code, begun.json()["status"], begun.json()["calls_total"]) == (202, "running", 1)
    again = await http.post("/api/contacts/backfill", json={"lookup": False})
    assert (again.status_code, again.json()) == (202, begun.json())
    assert (await http.get("/api/contacts/backfill")).json() == begun.json()


async def test_a_page_of_large_contacts_ends_by_its_bytes(edge: Edge) -> None:
    async with await edge.client() as http:
        for n in range(30):
            attributes = {"story": "é" * 12_000}
            answer = await http.post(
                "/api/contacts", json={"phone_e164": f"+131755501{n:02}", "tags": ["t"], "attributes_json": attributes}
            )
            assert answer.status_code == 201, answer.text
        filters: list[dict[str, str]] = [{}, {"tag": "t"}, {"q": "1317555"}]
        for wanted in filters:
            numbers, cursor, pages = list[str](), None, 0
            while cursor is not None or not pages:
                params: dict[str, Any] = {"limit": 50, **wanted} | ({"cursor": cursor} if cursor else {})
                answer = (await http.get("/api/contacts", params=params)).json()
                numbers += [row["phone_e164"] for row in answer["contacts"]]
                cursor, pages = answer.get("next_cursor"), pages + 1
            assert numbers == [f"+131755501{n:02}" for n in reversed(range(30))] and pages > 1
