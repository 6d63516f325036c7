"""The apologies of gateways that had no control, told to it later: before or after whatever else ends the call."""

from datetime import datetime, timedelta
from itertools import permutations

import grpc
import pytest

from control.calls import ending
from gateway import carrierforms
from hum.clock import now
from hum.v1 import runtime_pb2_grpc
from storage import media_places
from tests.contract.conftest import ACCOUNT, Edge
from tests.contract.lines import GONE, LIVE, Dial, Line
from tests.contract.test_carrier_webhooks import CALL, flow_with_number, post
from tests.contract.test_outbound import CALLEE, CALLS, NUMBER, clinic, order, placed
from tests.support.endings import ends_are_told
from tests.support.examples import sample
from tests.support.waits import until

__all__ = ["ends_are_told"]
pytestmark = pytest.mark.usefixtures("ends_are_told")

AWAY = ("failed", "control_away")
PLACED = {"CallSid": "CA1", "AccountSid": ACCOUNT, "From": NUMBER, "To": CALLEE, **LIVE}


async def tell(edge: Edge, kind: str, at: datetime, id: str = "", form: dict[str, str] = CALL) -> None:
    """Deliver what a gateway has kept: that it apologized then, instead of the step that the carrier requested."""
    node = edge.plane.node("gateway", "g")
    ingress = runtime_pb2_grpc.IngressServiceStub(edge.plane.channel)
    match kind:
        case "ring":
            await ingress.RouteCall(carrierforms.route_request(form, at), metadata=node)
        case "next":
            await ingress.NextStep(carrierforms.next_request({**form, **LIVE}, id, at), metadata=node)
        case "dial":
            await ingress.EndDial(carrierforms.end_dial_request(form, id, at), metadata=node)
        case _:
            stub = runtime_pb2_grpc.PlacedCallsServiceStub(edge.plane.channel)
            await stub.AnswerPlacedCall(carrierforms.placed_request(form, id, at), metadata=node)


async def end(edge: Edge) -> tuple[str, str | None]:
    async with edge.plane.control.db.system() as tx:
        return tuple(await tx.fetchrow("SELECT status, end_reason FROM calls"))  # type: ignore[arg-type]


# --- before a stream ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ring", "next", "next of a placed call", "placed"])
@pytest.mark.parametrize("status_first", [False, True])
async def test_an_apology_before_a_stream_ends_the_call_in_any_order(
    edge: Edge, kind: str, *, status_first: bool
) -> None:
    """One gateway has kept the apology, and another is told by the carrier that the call is over."""
    status = "/twilio/voice/status"
    if kind in {"ring", "next"}:
        await flow_with_number(edge)
        told, form, step = (kind, CALL, await post(edge, "/twilio/voice", CALL))
        id = step.text.partition("/twilio/voice/next/")[2].partition("#")[0]
    else:
        http, flow = await clinic(edge)
        id = (await http.post(CALLS, json=order(flow))).json()["id"]
        attempt = await placed(edge)
        status += f"/{attempt}"
        told, form, step = ("next", PLACED, await post(edge, f"/twilio/voice/placed/{attempt}", PLACED))
        if kind == "placed":
            told, id = "placed", attempt
    assert "<Connect" in step.text, "the answer comes too late"
    at, over = now(), {**form, **GONE}
    if status_first:
        await post(edge, status, over)
        assert (await end(edge))[1] == "caller", "that is assumed"
    for _ in range(2):
        await tell(edge, told, at, id, form)
    await post(edge, status, over)
    assert await end(edge) == ("failed", "control_away")


async def test_who_hung_up_before_the_apology_did_not_hear_it(edge: Edge) -> None:
    await flow_with_number(edge)
    await post(edge, "/twilio/voice", CALL)
    await post(edge, "/twilio/voice/status", {**CALL, **GONE})
    await tell(edge, "ring", now())
    assert await end(edge) == ("canceled", "caller")


async def test_a_call_that_was_offered_a_stream_after_the_apology_goes_on(edge: Edge) -> None:
    """The carrier did not get the apology, and has asked again: for the first step, and for the next."""
    await flow_with_number(edge)
    await post(edge, "/twilio/voice", CALL)
    at = now()
    step = (await post(edge, "/twilio/voice", CALL)).text
    id = step.partition("/twilio/voice/next/")[2].partition("#")[0]
    for kind in ("ring", "next"):
        await tell(edge, kind, at, id)
        assert await end(edge) == ("ringing", None)


async def test_an_offer_that_is_stored_when_the_gateway_has_given_up_does_not_undo_its_apology(edge: Edge) -> None:
    """Control had begun to place the call: what it stores then reaches nobody."""
    await flow_with_number(edge)
    await post(edge, "/twilio/voice", CALL)
    ingress = runtime_pb2_grpc.IngressServiceStub(edge.plane.channel)
    db, offered = edge.plane.control.db, "SELECT token_hash FROM calls"
    async with db.system() as tx:
        before = await tx.fetchval(offered)
        await media_places.lock(tx)
        with pytest.raises(grpc.aio.AioRpcError, match="DEADLINE_EXCEEDED"):
            request = carrierforms.route_request(CALL)
            # The gateway's patience, which is meant to run out.
            await ingress.RouteCall(request, metadata=edge.plane.node("gateway", "g"), timeout=1.5)
        at = now()

    async def is_offered() -> bool:
        async with db.system() as tx:
            return bool(await tx.fetchval(offered) != before)

    await until(is_offered)
    await post(edge, "/twilio/voice/status", {**CALL, **GONE})
    await tell(edge, "ring", at)
    assert await end(edge) == AWAY


async def test_the_time_in_which_the_carrier_speaks_a_mailboxs_opening_is_not_the_offers(edge: Edge) -> None:
    """The stream may open 38 s later than any other, in case that the carrier speaks slowly."""
    shut: dict[str, object] = {"time_zone": "UTC", "weekly": {"mon": []}}
    await flow_with_number(edge, voicemail_enabled=True, business_hours_json=shut, after_hours_message="x" * 300)
    step = (await post(edge, "/twilio/voice", CALL)).text
    assert "<Say" in step and "<Connect" in step
    id = step.partition("/twilio/voice/next/")[2].partition("#")[0]
    await tell(edge, "next", now() + timedelta(seconds=24), id)
    assert await end(edge) == AWAY


# --- after a stream -----------------------------------------------------------------------------------------------


class Arrivals:
    """What tells of the end of a call with a stream, each of which may be delivered at any time."""

    def __init__(self, edge: Edge, line: Line) -> None:
        self._edge, self._line, self._at = edge, line, now()

    async def tell(self, what: str, reason: str = "") -> None:
        match what:
            case "apology":
                await tell(self._edge, "next", self._at, self._line.id)
            case "status":
                await post(self._edge, "/twilio/voice/status", {**CALL, **GONE})
            case "stream":
                await self._line.left(reason)
            case _:
                db = self._edge.plane.control.db
                async with db.system() as tx:
                    await tx.execute("UPDATE calls SET carrier_ended_at = carrier_ended_at - interval '1 minute'")
                await ending.close_stale_calls(db, 30)


@pytest.mark.sampled
@pytest.mark.parametrize("order", sample(list(permutations(("apology", "status", "stream"))), 3), ids="-".join)
@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("carrier_lost", ("failed", "control_away")),
        ("transfer", ("failed", "control_away")),
        ("agent", ("completed", "agent")),
    ],
)
async def test_an_apology_after_a_stream_ends_the_call_unless_its_media_process_says_how(
    edge: Edge, order: tuple[str, ...], reason: str, expected: tuple[str, str]
) -> None:
    """It stands for `control_away` where the stream was lost, or left for what control would have done next."""
    line = await Line.begun(edge)
    if reason == "transfer":
        assert (await line.tool()).status == "ok"
    arrivals = Arrivals(edge, line)
    for what in order:
        await arrivals.tell(what, reason)
    await arrivals.tell("apology")
    assert await end(edge) == expected


@pytest.mark.parametrize(
    "order",
    [
        ("apology", "status", "sweep"),
        ("status", "apology", "sweep"),
        ("status", "sweep", "apology"),
    ],
    ids="-".join,
)
async def test_a_stream_whose_session_was_lost_with_control_is_reported_by_nobody(
    edge: Edge, order: tuple[str, ...]
) -> None:
    """Control died after it had opened the stream; if its media process has the stream after all, its word counts."""
    line = await Line.begun(edge)
    arrivals = Arrivals(edge, line)
    for what in order:
        await arrivals.tell(what)
    assert await end(edge) == AWAY
    await line.left("agent")
    assert await end(edge) == ("completed", "agent")


async def test_a_call_that_was_continued_after_the_apology_goes_on(edge: Edge) -> None:
    """The carrier did not get the apology, and has asked again: for another stream, and for the dial."""
    line = await Line.begun(edge)
    await line.left("carrier_lost")
    at = now()
    await line.joined(await line.next())
    await tell(edge, "next", at, line.id)
    line.media.stream_number = 2
    line.media.seqs["report"] = 0
    at = now()
    dial = await line.dialled()
    await tell(edge, "next", at, line.id)
    assert (await end(edge), (await dial.row())["state"]) == (("in_progress", None), "ringing")


@pytest.mark.parametrize("status_first", [False, True])
async def test_an_apology_after_a_dial_ends_the_call_in_any_order(edge: Edge, *, status_first: bool) -> None:
    line = await Line.begun(edge)
    dial = await line.dialled()
    at = now()
    if status_first:
        await post(edge, "/twilio/voice/status", {**CALL, **GONE})
        assert await end(edge) == ("completed", "caller"), "that is assumed"
    for _ in range(2):
        await tell(edge, "dial", at, dial.id, {**CALL, **LIVE, "DialCallStatus": "no-answer", "DialBridged": "false"})
    await post(edge, "/twilio/voice/status", {**CALL, **GONE})
    assert await end(edge) == AWAY


@pytest.mark.parametrize("status_first", [False, True])
async def test_a_dial_that_was_answered_too_late_is_not_what_the_caller_heard(
    edge: Edge, *, status_first: bool
) -> None:
    """The carrier has the apology instead of the dial, and rings no one."""
    line = await Line.begun(edge)
    await line.dialled()
    at = now()
    if status_first:
        await post(edge, "/twilio/voice/status", {**CALL, **GONE})
        assert await end(edge) == ("completed", "caller"), "that is assumed"
    for _ in range(2):
        await tell(edge, "next", at, line.id)
    await post(edge, "/twilio/voice/status", {**CALL, **GONE})
    assert await end(edge) == AWAY


async def test_a_call_that_was_dialled_after_the_apology_goes_on(edge: Edge) -> None:
    """Its first answer came too late, but the carrier did not get the apology either, and has asked again."""
    line = await Line.begun(edge)
    dial = await line.dialled()
    at = now()
    assert Dial.of(line, await line.next()).id == dial.id
    await tell(edge, "next", at, line.id)
    assert (await end(edge), (await dial.row())["state"]) == (("in_progress", None), "ringing")


async def test_an_apology_before_a_dial_says_nothing_of_its_end(edge: Edge) -> None:
    """It was told while the media process had the call; the caller heard it ring."""
    line = await Line.begun(edge)
    await Arrivals(edge, line).tell("apology")
    await line.dialled()
    await post(edge, "/twilio/voice/status", {**CALL, **GONE})
    assert await end(edge) == ("completed", "caller")


async def test_a_stream_that_a_process_of_the_last_release_offers_continues_the_call(edge: Edge) -> None:
    """It does not write when it did."""
    line = await Line.begun(edge)
    await line.left("carrier_lost")
    at = now()
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE calls SET token_hash = '\\x01', token_expires_at = now() + interval '30 s'")
    await tell(edge, "next", at, line.id)
    assert await end(edge) == ("in_progress", None)


async def test_an_apology_of_a_stream_that_was_continued_says_nothing_of_a_later_one(edge: Edge) -> None:
    """It was told while the media process had the call; the caller heard the next stream."""
    line = await Line.begun(edge)
    arrivals = Arrivals(edge, line)
    await arrivals.tell("apology")
    await line.joined(await line.next())
    for what in ("status", "sweep"):
        await arrivals.tell(what)
    assert await end(edge) == ("completed", "stream_lost")
