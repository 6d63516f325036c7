"""A call is ended, moved and looked up at the carrier's account that holds it, which may be a sub-account."""

import xml.etree.ElementTree as ET

import pytest

from control.calls import orphans
from tests.contract.conftest import ACCOUNT, SUBACCOUNT, Edge
from tests.contract.lines import DESK, Line
from tests.contract.test_carrier_webhooks import CALL, flow_with_number, post


@pytest.mark.parametrize("account", [ACCOUNT, SUBACCOUNT])
async def test_a_call_is_ended_where_it_is(edge: Edge, account: str) -> None:
    http = await flow_with_number(edge)
    answer = await post(edge, "/twilio/voice", {**CALL, "AccountSid": account})
    assert ET.fromstring(answer.text)[0].tag == "Connect"
    (call,) = (await http.get("/api/calls")).json()["calls"]
    assert (await http.post(f"/api/calls/{call['id']}/hangup")).status_code == 200
    assert (edge.plane.carrier.ended, edge.plane.carrier.accounts) == (["CA1"], [account])


@pytest.mark.parametrize("account", [ACCOUNT, SUBACCOUNT])
async def test_a_call_that_nobody_has_is_looked_up_where_it_is(edge: Edge, account: str) -> None:
    await flow_with_number(edge)
    await post(edge, "/twilio/voice", {**CALL, "AccountSid": account})
    plane = edge.plane
    async with plane.control.db.system() as tx:
        await tx.execute("UPDATE calls SET created_at = now() - interval '1 hour'")
    assert await orphans.close_orphaned_calls(plane.control.db, plane.carrier, plane.settings) == 1
    assert (plane.carrier.asked, plane.carrier.accounts) == (["CA1"], [account])


async def test_a_call_is_moved_where_it_is(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CALL, "AccountSid", SUBACCOUNT)
    line = await Line.begun(edge)
    await line.dialled()
    answer = await line.http.post(f"/api/calls/{line.id}/take-over", json={"to": DESK})
    assert answer.status_code == 200, answer.text
    assert [sid for sid, _ in edge.plane.carrier.redirected] == ["CA1"]
    assert edge.plane.carrier.accounts == [SUBACCOUNT]
