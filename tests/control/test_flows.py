"""FlowsService over real gRPC and a real database."""

import json
from collections.abc import Callable
from typing import Any, cast

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import error_details_pb2
from grpc import aio
from grpc_status import rpc_status

from control.flows.choices import Choices
from hum.cascades import parse
from hum.v1 import flows_pb2 as pb
from hum.v1 import flows_pb2_grpc, numbers_pb2, numbers_pb2_grpc
from tests.control.conftest import Plane
from tests.support.cases import in_turn
from tests.support.present import present


def _details(error: aio.AioRpcError) -> Any:
    return rpc_status.from_call(cast("grpc.Call", error)).details


def problems(error: aio.AioRpcError) -> dict[str, str]:
    """The bad fields of a refusal."""
    for detail in _details(error):
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            return {each.field: each.description for each in bad.field_violations}
    return {}


def reason(error: aio.AioRpcError) -> str:
    info = error_details_pb2.ErrorInfo()
    assert _details(error)[0].Unpack(info)
    return str(info.reason)


async def test_a_flow_is_made_changed_and_keeps_its_versions(plane: Plane) -> None:
    stub, me = flows_pb2_grpc.FlowsServiceStub(plane.channel), await plane.tenant()
    made = (
        await stub.CreateFlow(
            pb.CreateFlowRequest(flow=pb.Flow(name="Clinic", greeting="Hi", announce_recording=True)), metadata=me
        )
    ).flow
    assert (made.version, made.channel, made.trigger_type, made.recording_enabled) == (
        1,
        pb.CHANNEL_VOICE,
        pb.TRIGGER_TYPE_CALL,
        True,
    )
    change = pb.UpdateFlowRequest(
        id=made.id, flow=pb.Flow(voice="cedar"), update_mask=FieldMask(paths=["voice", "greeting"])
    )
    after = (await stub.UpdateFlow(change, metadata=me)).flow
    assert (after.version, after.voice, after.HasField("greeting"), after.name) == (2, "cedar", False, "Clinic")
    assert (await stub.UpdateFlow(change, metadata=me)).flow.version == 2, "unchanged fields make no version"
    versions = (await stub.ListFlowVersions(pb.ListFlowVersionsRequest(id=made.id), metadata=me)).versions
    assert [(each.version, each.greeting) for each in versions] == [(2, ""), (1, "Hi")]


async def test_every_bad_field_is_named_at_once(plane: Plane) -> None:
    stub, me = flows_pb2_grpc.FlowsServiceStub(plane.channel), await plane.tenant()
    flow = pb.Flow(
        language="!",
        max_call_seconds=1,
        tools_json="{",
        business_hours_json='{"weekly":{"mon":[["9","17"]]}}',
        turn_config_json='{"x":1}',
    )
    with pytest.raises(aio.AioRpcError) as refused:
        await stub.CreateFlow(pb.CreateFlowRequest(flow=flow), metadata=me)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert problems(refused.value).keys() == {
        f"flow.{name}"
        for name in (
            *("name", "language", "max_call_seconds", "tools_json", "turn_config_json"),
            *("business_hours_json.weekly.mon[0][0]", "business_hours_json.weekly.mon[0][1]"),
        )
    }


async def test_what_a_flow_names_is_there(plane: Plane) -> None:
    stub, me = flows_pb2_grpc.FlowsServiceStub(plane.channel), await plane.tenant()
    good = pb.Flow(name="F", voice="cedar", model="gpt-realtime")
    made = (await stub.CreateFlow(pb.CreateFlowRequest(flow=good), metadata=me)).flow
    bad = pb.Flow(voice="hal", model="gpt-9000", knowledge_ids=["doc_1"])
    mask = FieldMask(paths=["voice", "model", "knowledge_ids"])
    for refused_call in (
        stub.CreateFlow(
            pb.CreateFlowRequest(flow=pb.Flow(name="F", **{n: getattr(bad, n) for n in mask.paths})), metadata=me
        ),
        stub.UpdateFlow(pb.UpdateFlowRequest(id=made.id, flow=bad, update_mask=mask), metadata=me),
    ):
        with pytest.raises(aio.AioRpcError) as refused:
            await refused_call
        found = problems(refused.value)
        assert found.keys() == {"flow.voice", "flow.model", "flow.knowledge_ids[0]"}
        assert "cedar" in found["flow.voice"]
        assert "gpt-realtime-mini" in found["flow.model"]
    assert (await stub.GetFlow(pb.GetFlowRequest(id=made.id), metadata=me)).flow.version == 1


async def test_a_flow_that_another_one_names_stays(plane: Plane) -> None:
    stub, me = flows_pb2_grpc.FlowsServiceStub(plane.channel), await plane.tenant()
    desk = (await stub.CreateFlow(pb.CreateFlowRequest(flow=pb.Flow(name="Desk")), metadata=me)).flow
    naming = pb.Flow(name="Door", transfer_map_json=json.dumps({"desk": desk.id}))
    door = (await stub.CreateFlow(pb.CreateFlowRequest(flow=naming), metadata=me)).flow
    with pytest.raises(aio.AioRpcError) as refused:
        await stub.DeleteFlow(pb.DeleteFlowRequest(id=desk.id), metadata=me)
    assert reason(refused.value) == "IN_USE"
    assert "Door" in present(refused.value.details())
    mask = FieldMask(paths=["transfer_map_json"])
    await stub.UpdateFlow(pb.UpdateFlowRequest(id=door.id, flow=pb.Flow(), update_mask=mask), metadata=me)
    await stub.DeleteFlow(pb.DeleteFlowRequest(id=desk.id), metadata=me)


def test_a_stored_choice_that_is_gone_gives_way() -> None:
    choices = Choices(voices=("marin", "cedar"), models=("m1", "m2"))
    assert (choices.voice({"voice": "cedar"}), choices.model({"model": "m2"})) == ("cedar", "m2")
    assert (choices.voice({"voice": "hal"}), choices.model({})) == ("marin", "m1")


@pytest.mark.parametrize(("model", "refused"), [("live", ["flow.turn_config_json"]), ("m1", [])])
def test_a_model_that_is_always_interruptible_can_not_be_kept_from_it(model: str, refused: list[str]) -> None:
    choices = Choices(voices=("marin",), models=("m1", "live"), live_models=("live",))
    flow = pb.Flow(model=model, turn_config_json='{"interruptible": false}')
    assert [problem.field for problem in choices.problems(flow, pb.Flow())] == refused


CASCADES = """
[[cascades.clinic.ears]]
url = "http://127.0.0.1:9/v1"
model = "ears"
[[cascades.clinic.mind]]
url = "http://127.0.0.1:9/v1"
model = "mind"
[[cascades.clinic.mouth]]
url = "http://127.0.0.1:9/v1"
model = "mouth"
voice = { en = "heart", es = "dora" }
"""


@pytest.mark.parametrize(
    ("model", "language", "reasons"),
    [
        ("cascade:clinic", "es-MX", []),
        ("cascade:clinic", "", []),
        ("m1", "fr", []),
        ("cascade:clinic", "fr", ["cascade:clinic has no voice for it; must be one of en, es"]),
    ],
)
def test_a_cascade_is_refused_for_a_language_that_it_has_no_voice_for(
    model: str, language: str, reasons: list[str]
) -> None:
    choices = Choices(("marin",), ("m1", "cascade:clinic"), cascades=parse(CASCADES))
    flow = pb.Flow(model=model, language=language)
    assert [problem.reason for problem in choices.problems(flow, pb.Flow())] == reasons
    assert not list(choices.problems(flow, flow)), "what was saved before the file changed can be edited"


async def test_a_page_ends_where_the_next_begins(plane: Plane) -> None:
    stub, me = flows_pb2_grpc.FlowsServiceStub(plane.channel), await plane.tenant()
    for n in range(5):
        await stub.CreateFlow(pb.CreateFlowRequest(flow=pb.Flow(name=f"F{n}")), metadata=me)
    names, cursor = [], ""
    while True:
        page = await stub.ListFlows(pb.ListFlowsRequest(limit=2, cursor=cursor), metadata=me)
        names += [flow.name for flow in page.flows]
        if not page.HasField("next_cursor"):
            break
        cursor = page.next_cursor
    assert names == ["F4", "F3", "F2", "F1", "F0"]
    forged = cursor[:5] + ("A" if cursor[5] != "A" else "B") + cursor[6:]
    with pytest.raises(aio.AioRpcError) as refused:
        await stub.ListFlows(pb.ListFlowsRequest(cursor=forged), metadata=me)
    assert reason(refused.value) == "INVALID_CURSOR"


async def test_another_tenants_flow_is_not_there(plane: Plane) -> None:
    stub, me, you = (
        flows_pb2_grpc.FlowsServiceStub(plane.channel),
        await plane.tenant("Mine"),
        await plane.tenant("Yours"),
    )
    made = (await stub.CreateFlow(pb.CreateFlowRequest(flow=pb.Flow(name="Mine")), metadata=me)).flow
    asked: tuple[tuple[Callable[..., Any], Any], ...] = (
        (stub.GetFlow, pb.GetFlowRequest(id=made.id)),
        (stub.UpdateFlow, pb.UpdateFlowRequest(id=made.id, flow=pb.Flow(name="x"))),
        (stub.DeleteFlow, pb.DeleteFlowRequest(id=made.id)),
        (stub.DuplicateFlow, pb.DuplicateFlowRequest(id=made.id)),
        (stub.ListFlowVersions, pb.ListFlowVersionsRequest(id=made.id)),
    )
    for call, request in asked:
        with pytest.raises(aio.AioRpcError) as refused:
            await call(request, metadata=you)
        assert (refused.value.code(), reason(refused.value)) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    assert not (await stub.ListFlows(pb.ListFlowsRequest(), metadata=you)).flows


async def test_a_flow_in_use_stays(plane: Plane) -> None:
    stub, me = flows_pb2_grpc.FlowsServiceStub(plane.channel), await plane.tenant()
    numbers = numbers_pb2_grpc.NumbersServiceStub(plane.channel)
    made = (await stub.CreateFlow(pb.CreateFlowRequest(flow=pb.Flow(name="F")), metadata=me)).flow
    number = numbers_pb2.Number(e164="+13175550100", flow_id=made.id)
    await numbers.RegisterNumber(numbers_pb2.RegisterNumberRequest(number=number), metadata=me)
    with pytest.raises(aio.AioRpcError) as refused:
        await stub.DeleteFlow(pb.DeleteFlowRequest(id=made.id), metadata=me)
    assert reason(refused.value) == "IN_USE"
    copy = (await stub.DuplicateFlow(pb.DuplicateFlowRequest(id=made.id), metadata=me)).flow
    assert (copy.name, copy.version) == ("F (copy)", 1)
    await stub.DeleteFlow(pb.DeleteFlowRequest(id=copy.id), metadata=me)


@in_turn(
    ("role", "scopes", "expected"),
    [
        ("viewer", (), "FORBIDDEN"),
        ("operator", (), "FORBIDDEN"),
        ("admin", ("flows:read",), "INSUFFICIENT_SCOPE"),
        ("admin", ("flows:write",), None),
    ],
)
async def test_role_and_scope_open_the_door(
    plane: Plane, role: str, scopes: tuple[str, ...], expected: str | None
) -> None:
    stub, me = flows_pb2_grpc.FlowsServiceStub(plane.channel), await plane.tenant(role=role, scopes=scopes)
    await stub.ListFlows(pb.ListFlowsRequest(), metadata=me)
    request = stub.CreateFlow(pb.CreateFlowRequest(flow=pb.Flow(name="F")), metadata=me)
    if expected is None:
        assert (await request).flow.name == "F"
        return
    with pytest.raises(aio.AioRpcError) as refused:
        await request
    assert reason(refused.value) == expected


async def test_without_a_credential_nothing_opens(plane: Plane) -> None:
    stub = flows_pb2_grpc.FlowsServiceStub(plane.channel)
    for metadata, expected in (
        (None, "SESSION_REQUIRED"),
        ((("authorization", "Bearer hum_live_nobody"),), "API_KEY_REQUIRED"),
        (plane.node(), "SESSION_REQUIRED"),
    ):
        with pytest.raises(aio.AioRpcError) as refused:
            await stub.ListFlows(pb.ListFlowsRequest(), metadata=metadata)
        assert (refused.value.code(), reason(refused.value)) == (grpc.StatusCode.UNAUTHENTICATED, expected)
