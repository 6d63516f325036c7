"""Who answers a call: the number's flow, or that of the caller's tag; the version it began with; what is offered when."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
import pytest

from control.base.hours import WEEKDAYS
from control.calls import calllimits
from control.tools import AgentTool, Registry, Result, Situation, ToolChannel, ToolContext, ToolUnavailable
from hum import ids
from hum.ids import Kind
from hum.v1 import runtime_pb2, runtime_pb2_grpc
from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import CALL, post
from tests.contract.test_live_stream import event, events, in_progress


def closed_now() -> dict[str, Any]:
    """Hours that are over, whatever the time is."""
    day = WEEKDAYS[(datetime.now(UTC) + timedelta(days=3)).weekday()]
    return {"time_zone": "UTC", "weekly": {day: [["00:00", "24:00"]]}}


class Desk:
    """An organization whose number's flow routes by tags."""

    def __init__(self, edge: Edge, http: httpx.AsyncClient) -> None:
        self.edge, self.http, self.calls = edge, http, 0

    async def flow(self, **fields: Any) -> str:
        made = await self.http.post("/api/flows", json={"name": "F", **fields})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    async def set_up(self, **routes: Any) -> None:
        self.vip = await self.flow(greeting="Hello, dear friend", language="fr", **routes)
        self.gold = await self.flow(greeting="Gold")
        tags = {"Gold": self.gold, "vip": self.vip}
        self.main = await self.flow(greeting="Hello", language="de", route_tags_json=tags)
        made = await self.http.post("/api/numbers", json={"e164": CALL["To"], "flow_id": self.main})
        assert made.status_code == 201

    async def contact(self, *tags: str) -> None:
        made = await self.http.post("/api/contacts", json={"phone_e164": CALL["From"], "name": "Ada", "tags": tags})
        assert made.status_code == 201

    async def ring(self, **form: str) -> tuple[ET.Element, dict[str, Any]]:
        """What the carrier is told first, and the call's record."""
        self.calls += 1
        text = (await post(self.edge, "/twilio/voice", {**CALL, "CallSid": f"CA{self.calls}", **form})).text
        newest = (await self.http.get("/api/calls", params={"limit": 1})).json()["calls"][0]
        return ET.fromstring(text)[0], newest

    async def open(self, connect: ET.Element) -> runtime_pb2.OpenSessionResponse:
        token = str(connect.find("Stream/Parameter").get("value"))  # type: ignore[union-attr]
        opening = runtime_pb2.OpenSessionRequest(token=token, call_sid=f"CA{self.calls}", stream_sid="MZ", node="m")
        media = runtime_pb2_grpc.MediaServiceStub(self.edge.plane.channel)
        return await media.OpenSession(opening, metadata=self.edge.plane.node())

    async def sql(self, statement: str, *values: Any) -> None:
        async with self.edge.plane.control.db.system() as tx:
            await tx.execute(statement, *values)


@pytest.fixture(autouse=True)
def registries(monkeypatch: pytest.MonkeyPatch) -> list[Registry]:
    """The tools of each control that is started."""
    made = list[Registry]()

    class Kept(Registry):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr("control.app.Registry", Kept)
    return made


@pytest.fixture
async def desk(edge: Edge) -> Desk:
    return Desk(edge, await edge.client())


async def test_a_contacts_tag_chooses_the_flow(desk: Desk) -> None:
    await desk.set_up()
    _, call = await desk.ring()
    assert call["flow_id"] == desk.main, "nobody is known yet"
    contact = (await desk.http.get("/api/contacts")).json()["contacts"][0]
    for tags, flow in (
        (["other"], desk.main),
        (["VIP"], desk.vip),
        (["vip", "gold"], desk.gold),  # the map's order, not the contact's
    ):
        changed = await desk.http.patch(f"/api/contacts/{contact['id']}", json={"tags": tags})
        assert changed.status_code == 200, changed.text
        connect, call = await desk.ring()
        assert (connect.tag, call["flow_id"]) == ("Connect", flow), tags
    session = await desk.open(connect)
    assert session.clips[0].text == "Gold"
    assert "# Caller Context" in session.instructions and "vip, gold" in session.instructions


async def test_a_forged_number_gets_nobodys_flow(desk: Desk) -> None:
    await desk.set_up()
    await desk.contact("vip")
    _, call = await desk.ring(StirVerstat="TN-Validation-Failed")
    assert call["flow_id"] == desk.main
    _, call = await desk.ring(From="anonymous")
    assert call["flow_id"] == desk.main


@pytest.mark.parametrize("stand_in", ["+86282452253", "+8656696"])
async def test_a_withheld_number_that_the_carrier_writes_in_digits_is_nobodys(desk: Desk, stand_in: str) -> None:
    await desk.set_up()
    _, call = await desk.ring(From=stand_in)
    assert (call["from"], call.get("contact_id")) == ("anonymous", None)
    assert (await desk.http.get("/api/contacts")).json()["contacts"] == []


@pytest.mark.parametrize(
    "what",
    [
        "UPDATE flows SET deleted_at = now() WHERE id = $1",
        "UPDATE flows SET channel = 'sms' WHERE id = $1",
        "UPDATE flow_versions SET definition = jsonb_set(definition::jsonb, '{route_tags_json}', '\"[]\"')::json WHERE $1 = $1::uuid",
    ],
)
async def test_a_tags_flow_that_is_gone_leaves_the_numbers_flow(desk: Desk, what: str) -> None:
    await desk.set_up()
    await desk.contact("vip")
    await desk.sql(what, ids.require(Kind.FLOW, desk.vip))
    connect, call = await desk.ring()
    assert (connect.tag, call["flow_id"], call["flow_version"]) == ("Connect", desk.main, 1)


async def test_another_organizations_flow_answers_nobody(desk: Desk, edge: Edge) -> None:
    await desk.set_up()
    await desk.contact("vip")
    theirs = await Desk(edge, await edge.client("Other")).flow(greeting="Theirs")
    await desk.sql(
        "UPDATE flow_versions SET definition = replace(definition::text, $1, $2)::json WHERE definition::text LIKE '%route_tags%'",
        desk.vip,
        theirs,
    )
    connect, call = await desk.ring()
    assert call["flow_id"] == desk.main
    assert (await desk.open(connect)).clips[0].text == "Hello"


async def test_the_named_flows_own_hours_and_language_apply(desk: Desk) -> None:
    await desk.set_up(business_hours_json=closed_now())
    await desk.contact("vip")
    say, call = await desk.ring()
    assert (say.tag, say.get("language")) == ("Say", "fr-FR")
    assert "fermés" in str(say.text)
    assert (call["status"], call["end_reason"], call["flow_id"]) == ("completed", "after_hours", desk.vip)


async def test_open_hours_of_the_named_flow_hold_where_the_numbers_flow_is_closed(desk: Desk) -> None:
    vip = await desk.flow(greeting="Always")
    hours = {"time_zone": "UTC", "weekly": {day: [["00:00", "24:00"]] for day in WEEKDAYS}}
    await desk.http.patch(f"/api/flows/{vip}", json={"business_hours_json": hours})
    main = await desk.flow(business_hours_json=closed_now(), route_tags_json={"vip": vip})
    await desk.http.post("/api/numbers", json={"e164": CALL["To"], "flow_id": main})
    assert (await desk.ring())[0].tag == "Say"
    contact = (await desk.http.get("/api/contacts")).json()["contacts"][0]
    await desk.http.patch(f"/api/contacts/{contact['id']}", json={"tags": ["vip"]})
    connect, call = await desk.ring()
    assert (connect.tag, call["flow_id"]) == ("Connect", vip)


async def test_a_call_keeps_the_version_it_began_with(desk: Desk) -> None:
    """Also its second stream, and what its tools are offered."""
    await desk.set_up()
    connect, call = await desk.ring()
    first = await desk.open(connect)
    changed = await desk.http.patch(f"/api/flows/{desk.main}", json={"system_prompt": "NEW", "language": "it"})
    assert changed.json()["version"] == 2
    again = ET.fromstring((await post(desk.edge, f"/twilio/voice/next/{call['id']}", {**CALL, "CallSid": "CA1"})).text)
    second = await desk.open(again[0])
    assert (first.stream_number, second.stream_number, second.language) == (1, 2, "de")
    assert "NEW" not in second.instructions
    _, other = await desk.ring()
    assert (call["flow_version"], other["flow_version"]) == (1, 2)


async def test_after_hours_a_running_call_is_offered_what_the_hour_allows(
    registries: list[Registry], desk: Desk
) -> None:
    """The hours end during the call: a tool that needs an open business is gone, and running it is refused."""
    ran: list[Situation] = []

    async def run(context: ToolContext, _: Mapping[str, Any]) -> Result:
        ran.append(context.situation)
        return Result("done")

    def by_day(situation: Situation) -> dict[str, Any] | ToolUnavailable:
        return {"type": "object", "properties": {}} if situation.is_open else ToolUnavailable("it is closed")

    registries[-1].add([AgentTool("by_day", "Needs somebody.", by_day, run, frozenset({ToolChannel.CALL}), 5_000)])
    await desk.set_up()
    connect, _ = await desk.ring()
    session = await desk.open(connect)
    assert {tool.name for tool in session.tools} >= {"by_day", "end_call"}
    assert "closed" not in session.instructions
    media = runtime_pb2_grpc.MediaServiceStub(desk.edge.plane.channel)

    async def ask(number: int) -> str:
        request = runtime_pb2.RunTool(
            call_id=session.call_id, tool_call_id=str(number), name="by_day", arguments_json="{}"
        )
        link = media.Link(metadata=desk.edge.plane.node())
        await link.write(runtime_pb2.LinkUp(hello=runtime_pb2.LinkHello()))
        await link.write(runtime_pb2.LinkUp(tool=request))
        down = runtime_pb2.LinkDown()
        while down.WhichOneof("down") != "tool_result":
            down = cast("runtime_pb2.LinkDown", await link.read())
        link.cancel()
        return str(down.tool_result.status)

    assert await ask(1) == "ok"
    await desk.sql("UPDATE organizations SET business_hours_json = $1", json.dumps(closed_now()))
    assert await ask(2) == "failed"
    assert [(each.is_open, each.direction, each.origin) for each in ran] == [(True, "inbound", "phone")]
    call = session.call_id
    again = ET.fromstring((await post(desk.edge, f"/twilio/voice/next/{call}", {**CALL, "CallSid": "CA1"})).text)
    later = await desk.open(again[0])
    assert "by_day" not in {tool.name for tool in later.tools}
    assert "Offer no transfer" in later.instructions


async def test_what_is_entered_on_the_keypad_is_kept_and_streamed(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    for digits in ("47", "4711#", "4711#", "4"):  # the last two again and late, as after a fault
        media.report(digits=runtime_pb2.DigitsPressed(digits=digits, at_ms=2_500))
    media.report(digits=runtime_pb2.DigitsPressed(digits="\0x", at_ms=2_600))  # nothing that a keypad has
    await media.acknowledged(media.report(digits=runtime_pb2.DigitsPressed(digits="1" * 999, at_ms=9_000)))
    stream = events(http, call_id)
    told = [await event(stream) for _ in range(5)]
    assert [(each.event, each.data.get("keys")) for each in told[2:]] == [
        ("keypad.entry", "47"),
        ("keypad.entry", "4711#"),
        ("keypad.entry", "1" * 64),
    ]
    kept = (await http.get(f"/api/calls/{call_id}")).json()["keypad_entries"]
    assert kept == [{"keys": "4711#", "at_ms": 2_500}, {"keys": "1" * 64, "at_ms": 9_000}]
    other = await edge.client("Other")
    assert (await other.get(f"/api/calls/{call_id}")).status_code == 404
    # The next stream's agent knows of them.
    media.link.cancel()
    text = (await post(edge, f"/twilio/voice/next/{call_id}", CALL)).text
    token = text.partition('name="token" value="')[2].partition('"')[0]
    opening = runtime_pb2.OpenSessionRequest(token=token, call_sid="CA1", stream_sid="MZ2", node="m2")
    session = await media.stub.OpenSession(opening, metadata=edge.plane.node())
    assert "Caller entered 4711# on the keypad" in [each.text for each in session.so_far]


async def test_a_calls_keypad_entries_are_bounded(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calllimits, "MAX_KEYPAD_ENTRIES", 50)
    http, media, call_id = await in_progress(edge)
    for at_ms in range(60):
        media.report(digits=runtime_pb2.DigitsPressed(digits="1", at_ms=at_ms))
    await media.acknowledged(media.report(digits=runtime_pb2.DigitsPressed(digits="12", at_ms=49)))
    entries = (await http.get(f"/api/calls/{call_id}")).json()["keypad_entries"]
    assert (len(entries), entries[-1]) == (50, {"keys": "12", "at_ms": 49}), "the last one still grows"


async def test_an_entry_in_which_the_recording_was_paused_is_forgotten(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    media.report(digits=runtime_pb2.DigitsPressed(digits="1", at_ms=1_000))
    media.report(digits=runtime_pb2.DigitsPressed(digits="41", at_ms=9_000))
    media.report(digits=runtime_pb2.DigitsPressed(at_ms=9_000))
    await media.acknowledged(media.report(digits=runtime_pb2.DigitsPressed(digits="41", at_ms=9_000)))  # late
    assert (await http.get(f"/api/calls/{call_id}")).json()["keypad_entries"] == [{"keys": "1", "at_ms": 1_000}]
