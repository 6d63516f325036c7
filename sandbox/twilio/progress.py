"""Status callbacks of one call, in order.

Source: Twilio's Call resource, "StatusCallback": events initiated, ringing, answered, completed, of which only `completed` is
sent by default; the fields of a voice webhook, and CallbackSource, SequenceNumber (from 0 in the order in
which events happen), Timestamp; at the end CallDuration (s), Duration (minutes begun) and SipResponseCode.
"""

import asyncio
from collections.abc import Callable, Coroutine
from email.utils import format_datetime
from typing import Any

from sandbox.twilio.call import Call, Callback
from sandbox.twilio.faults import Fault, PendingFaults
from sandbox.twilio.webhooks import Courier, Webhook

#: Final status → SIP response of the called network.
SIP_CODES = {"completed": 200, "busy": 486, "no-answer": 487, "canceled": 487, "failed": 404}

Spawn = Callable[[Coroutine[Any, Any, None]], None]


class Progress:
    """Sender of one call's status callbacks; the call waits only for the last one."""

    def __init__(self, call: Call, courier: Courier, faults: PendingFaults, spawn: Spawn) -> None:
        self._call = call
        self._courier = courier
        self._faults = faults
        self._spawn = spawn
        self._in_flight: asyncio.Task[None] | None = None

    def publish(self, event: str) -> None:
        call, callback = self._call, self._call.callback
        if callback is None or event not in callback.events:
            return
        fields = call.parameters() | {
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(call.next_sequence()),
            "Timestamp": format_datetime(call.wall_time()),
        }
        if event == "completed":
            fields |= {"CallDuration": str(call.duration_s), "Duration": str(-(-call.duration_s // 60))}
            fields["SipResponseCode"] = str(SIP_CODES.get(call.status, 200))
        fault = self._faults.take("callback", call.to, event)
        if fault is not None and fault.do != "twice":
            call.note("callback.fault", do=fault.do, call_status=call.status)
            if fault.do == "late":
                self._spawn(self._late(fault, callback, fields))
            return
        for _ in range(2 if fault else 1):
            self._in_flight = asyncio.create_task(self._in_turn(self._in_flight, callback, fields))

    async def last(self, event: str) -> None:
        """Send the call's final event and wait for all callbacks."""
        self.publish(event)
        if self._in_flight is not None:
            await self._in_flight

    async def _in_turn(self, before: asyncio.Task[None] | None, callback: Callback, fields: dict[str, str]) -> None:
        if before is not None:
            await before
        await self._send(callback, fields)

    async def _late(self, fault: Fault, callback: Callback, fields: dict[str, str]) -> None:
        await asyncio.sleep(fault.ms / 1000)
        await self._send(callback, fields)

    async def _send(self, callback: Callback, fields: dict[str, str]) -> None:
        status = fields["CallStatus"]

        def watch(webhook: Webhook) -> None:
            self._call.webhooks.append(webhook)
            self._call.note("webhook.sent", kind="status", url=webhook.url, call_status=status)

        await self._courier.send("status", callback.url, fields, callback.method, watch)
