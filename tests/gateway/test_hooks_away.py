"""Control goes away while other systems post: they are asked to send it again, and nothing is stored twice."""

from pathlib import Path

import grpc
import pytest
from grpc import aio

from hum import ids, rpc, secrets
from hum.ids import Kind
from hum.process import home
from hum.settings import ControlSettings
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc
from tests.gateway.test_control_away import Deployment


@pytest.mark.chaos
async def test_a_sender_is_asked_to_come_back_and_an_answer_that_is_lost_is_no_second_event(
    database_url: str, tmp_path: Path
) -> None:
    deployment = Deployment(database_url, tmp_path)
    await deployment.set_up()
    async with deployment.gateway(ingress_seconds=1.0) as carrier:
        async with deployment.control():
            new = {"name": "Shop", "event": "external.paid"}
            trigger = await deployment.api(carrier, "POST", "/api/triggers", new)
            path = f"/hooks/{trigger['token']}"
            assert (await carrier.http.post(path, json={"n": 1})).status_code == 202
        away = await carrier.http.post(path, json={"n": 2})
        assert (away.status_code, away.json()["error"]["code"]) == (503, "unavailable")
        assert int(away.headers["retry-after"]) > 0
        async with deployment.control():
            assert (await carrier.http.post(path, json={"n": 2})).status_code == 202
            key = home.node_key(ControlSettings(home=tmp_path))
            metadata = (rpc.NodeIdentity(key, "gateway", "g1").metadata(),)
            request = pb.ReceiveHookRequest(
                delivery_id=ids.show(Kind.TRIGGER_DELIVERY, ids.new()),
                token_hash=secrets.token_hash(trigger["token"]),
                content_type="application/json",
                body=b'{"n": 3}',
                client_address="192.0.2.1",
            )
            async with aio.insecure_channel(deployment.address) as channel:
                ask = runtime_pb2_grpc.HooksIngressServiceStub(channel).ReceiveHook
                answers = [await ask(request, metadata=metadata) for _ in range(2)]
                assert answers[0] == answers[1] and not answers[0].is_repetition
                with pytest.raises(aio.AioRpcError) as refused:
                    await ask(request, metadata=(rpc.NodeIdentity(key, "media", "m1").metadata(),))
                assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
            seen = (await deployment.api(carrier, "GET", "/api/events"))["events"]
    assert [event["data"]["payload"] for event in seen] == [{"n": 1}, {"n": 2}, {"n": 3}]
