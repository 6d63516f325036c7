"""What a customer's program does with the client that openapi-python-client generates: create, list, patch, error, stream."""

import json
import sys

from hum_client import AuthenticatedClient
from hum_client.api.flows import create_flow, list_flows, update_flow
from hum_client.models import (
    BusinessHoursJson,
    CallEnded,
    CallStatus,
    ErrorResponse,
    Flow,
    FlowInput,
    FlowKind,
    FlowPatch,
    ListFlows,
    Speaker,
    Turn,
    TurnConfigJson,
)


def main(url: str, key: str, call_id: str) -> None:
    client = AuthenticatedClient(base_url=url, token=key)
    hours = BusinessHoursJson.from_dict({"weekly": {"mon": [["09:00", "17:00"]]}})
    body = FlowInput("Front desk", voicemail_enabled=True, business_hours_json=hours)
    body.turn_config_json = TurnConfigJson(interruptible=True, cut_after_ms=350)
    flow = create_flow.sync(client=client, body=body)
    assert isinstance(flow, Flow)
    assert isinstance(flow.business_hours_json, BusinessHoursJson)
    assert flow.business_hours_json.weekly["mon"] == [["09:00", "17:00"]]
    assert flow.kind is FlowKind.INBOUND and flow.created_at.tzinfo is not None

    listed = list_flows.sync(client=client, limit=10)
    assert isinstance(listed, ListFlows)
    assert flow.id in [each.id for each in listed.flows] and listed.next_cursor is None

    patched = update_flow.sync(flow.id, client=client, body=FlowPatch(greeting="Hello"))
    assert isinstance(patched, Flow) and (patched.greeting, patched.version) == ("Hello", 2)

    refused = create_flow.sync_detailed(client=client, body=FlowInput(""))
    assert isinstance(refused.parsed, ErrorResponse) and refused.status_code == 400
    assert [each.field for each in refused.parsed.error.details] == ["name"]

    events: list[tuple[str, str]] = []
    with client.get_httpx_client().stream("GET", f"/api/calls/{call_id}/stream") as answer:
        name = ""
        for line in answer.iter_lines():
            name = line.removeprefix("event: ") if line.startswith("event: ") else name
            if line.startswith("data: "):
                events.append((name, line.removeprefix("data: ")))
    (turn,) = [Turn.from_dict(json.loads(data)) for name, data in events if name == "transcript.turn"]
    assert (turn.role, turn.text, turn.item_id) == (Speaker.AGENT, "Hi", "1-a")
    ended = CallEnded.from_dict(json.loads(events[-1][1]))
    assert (events[-1][0], ended.status) == ("call.ended", CallStatus.COMPLETED)
    sys.stdout.write("ok\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
