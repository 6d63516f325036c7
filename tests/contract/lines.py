"""A call that is transferred, as the carrier and the media process see it from outside."""

import asyncio
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any

import httpx

from hum.v1 import calls_pb2, runtime_pb2
from tests.contract.conftest import ACCOUNT, PUBLIC, Edge
from tests.contract.test_carrier_webhooks import CALL, post
from tests.contract.test_live_stream import Media, in_progress, turn

DESK, MOBILE, CHILD = "+13175550142", "+13175550143", "CAchild"
MAP = {
    "front desk": DESK,
    "Dr Ada": {"to": MOBILE, "accept_key": True, "timeout_seconds": 20},
    "sales": "flow_01HVN5J8Q0ZR4TB8M3C2Y7K6WD",
}
NUMBERS = {name: to for name, to in MAP.items() if name != "sales"}
FLOW: dict[str, Any] = {"transfer_map_json": NUMBERS, "whisper_text": "From the <clinic>.", "language": "de-DE"}
ASKED = {"target": "front desk", "summary": "Wants to \x01 move an appointment & is in a hurry."}


@dataclass
class Line:
    """A call with an agent, and what the carrier asks about it."""

    edge: Edge
    http: httpx.AsyncClient
    media: Media
    id: str

    @classmethod
    async def begun(cls, edge: Edge, **flow: Any) -> "Line":
        http, media, id = await in_progress(edge, **(FLOW | flow))
        await media.acknowledged(media.report(turn=turn(1, calls_pb2.SPEAKER_AGENT, "Hi")))
        return cls(edge, http, media, id)

    async def tool(self, id: str = "t1", **arguments: Any) -> runtime_pb2.ToolResult:
        text = json.dumps(ASKED | arguments)
        run = runtime_pb2.RunTool(call_id=self.id, tool_call_id=id, name="transfer_to_number", arguments_json=text)
        self.media.ups.put_nowait(runtime_pb2.LinkUp(tool=run))
        return await self.media.tool_result()

    async def left(self, reason: str = "transfer") -> None:
        """The stream has ended."""
        await self.media.acknowledged(self.media.report(ended=runtime_pb2.StreamEnded(reason=reason, at_ms=9_000)))

    async def person_asks(self, path: str, key: str = "", **body: str) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return await self.http.post(f"/api/calls/{self.id}/{path}", json=body, headers=headers)

    async def person_moves(
        self, path: str, outcome: str = "done", key: str = "", **body: str
    ) -> tuple[httpx.Response, runtime_pb2.CallCommand]:
        """What a person gets who transfers the call, when its media process answers so."""
        asking = asyncio.create_task(self.person_asks(path, key, **body))
        command = await asyncio.wait_for(self.media.command(), 60)
        self.media.answer(command, outcome)
        return await asking, command

    async def next(self, **form: str) -> ET.Element:
        return verbs(await post(self.edge, f"/twilio/voice/next/{self.id}", {**CALL, **LIVE, **form}))

    async def dialled(self, target: str = "front desk") -> "Dial":
        """The carrier rings the target."""
        assert (await self.tool(target=target)).outcome.leave.reason == "transfer"
        await self.left()
        return Dial.of(self, await self.next())

    async def record(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.http.get(f"/api/calls/{self.id}")).json()
        return found

    async def known_as(self, name: str) -> None:
        """The caller is a contact with this name."""
        (contact,) = (await self.http.get("/api/contacts")).json()["contacts"]
        changed = await self.http.patch(f"/api/contacts/{contact['id']}", json={"name": name})
        assert changed.status_code == 200, changed.text

    async def joined(self, response: ET.Element, sid: str = "MZ2") -> runtime_pb2.OpenSessionResponse:
        """The next stream, which this answer of ours leads to."""
        token = str(response.find("Connect/Stream/Parameter").get("value"))  # type: ignore[union-attr]
        opening = runtime_pb2.OpenSessionRequest(token=token, call_sid="CA1", stream_sid=sid, node="m1")
        return await self.media.stub.OpenSession(opening, metadata=self.edge.plane.node())


LIVE, GONE = {"CallStatus": "in-progress"}, {"CallStatus": "completed"}
TAKEN = {"DialCallStatus": "completed", "DialBridged": "true", "DialCallDuration": "60"}
HEARD = {"DialCallStatus": "completed", "DialBridged": "false", "DialCallDuration": "6"}


@dataclass
class Dial:
    """What the carrier was told to ring, and asks about it."""

    line: Line
    verb: ET.Element
    number: ET.Element
    id: str

    @classmethod
    def of(cls, line: Line, response: ET.Element) -> "Dial":
        verb = response.find("Dial")
        assert verb is not None, ET.tostring(response)
        number = verb.find("Number")
        assert number is not None
        found = re.fullmatch(
            rf"{PUBLIC}/twilio/voice/transfer/(transfer_\w+)#rc=5&rp=all&ct=2000&rt=5000", verb.get("action", "")
        )
        assert found is not None
        return cls(line, verb, number, found[1])

    @property
    def child(self) -> dict[str, str]:
        return {
            "CallSid": CHILD,
            "ParentCallSid": "CA1",
            "AccountSid": ACCOUNT,
            "From": CALL["To"],
            "To": str(self.number.text),
            "CallStatus": "in-progress",
        }

    async def whisper(self, **form: str) -> ET.Element:
        return verbs(await post(self.line.edge, f"/twilio/voice/whisper/{self.id}", {**self.child, **form}))

    async def status(self, status: str = "in-progress") -> httpx.Response:
        form = {**self.child, "CallStatus": status}
        return await post(self.line.edge, f"/twilio/voice/transfer/{self.id}/status", form)

    async def over(self, **form: str) -> ET.Element:
        return verbs(await post(self.line.edge, f"/twilio/voice/transfer/{self.id}", {**CALL, **LIVE, **form}))

    async def row(self) -> dict[str, Any]:
        (found,) = [each for each in (await self.line.record())["transfers"] if each["id"] == self.id]
        return dict(found)


def verbs(answer: httpx.Response) -> ET.Element:
    assert answer.status_code == 200, answer.text
    return ET.fromstring(answer.text)


def tags(response: ET.Element) -> list[str]:
    return [verb.tag for verb in response]
