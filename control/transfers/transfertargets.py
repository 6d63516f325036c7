"""The rules of transfers: the allowed targets, and the outcomes of a dial.  Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from control.base import phone
from control.livecall.nextsteps import AGENT
from hum.v1 import runtime_pb2

#: Limits of transfers per call: those that its agent requests, and all.
MAX_OF_AGENT, MAX_OF_CALL = 5, 20
SUMMARY_CHARS = 500
#: The key that accepts a call.
ACCEPT_KEY = "1"

ACTIVE = ("ringing", "answered", "connected")
TRANSFERRED, CALLER = "transferred", "caller"
#: The carrier's status of an unanswered dial -> the transfer's state; any other status is a failure.
_UNANSWERED: Mapping[str, str] = {"busy": "busy", "no-answer": "no_answer", "canceled": "canceled"}
_PICKED_UP = frozenset({"completed", "answered"})


@dataclass(frozen=True, slots=True)
class TransferTarget:
    """A number of a transfer map, with its options."""

    to_e164: str
    needs_key: bool = False
    ring_seconds: int = 0
    unanswered: str = AGENT


def targets(definition: Mapping[str, Any]) -> dict[str, TransferTarget]:
    """Return the callable numbers of a flow's transfer map, by label; `usable` has checked the map."""
    stored: dict[str, Any] = json.loads(definition.get("transfer_map_json") or "{}")
    parsed = {label: _target(entry) for label, entry in stored.items()}
    return {
        label: target
        for label, target in parsed.items()
        if target is not None and phone.bad_target(target.to_e164) is None
    }


def _target(entry: Any) -> TransferTarget | None:
    if isinstance(entry, str):
        return TransferTarget(entry) if entry.startswith("+") else None  # else it is a flow
    return TransferTarget(
        entry["to"],
        bool(entry.get("accept_key", False)),
        int(entry.get("timeout_seconds", 0)),
        str(entry.get("unanswered", AGENT)),
    )


@dataclass(frozen=True, slots=True)
class Parties:
    """The parties of a call: the organization's number, and the other party's."""

    number_e164: str
    peer_e164: str

    @classmethod
    def of(cls, direction: str, from_e164: str, to_e164: str) -> "Parties":
        return cls(from_e164, to_e164) if direction == "outbound" else cls(to_e164, from_e164)

    def bad_target(self, e164: str, countries: frozenset[str]) -> str | None:
        """Return why this call can't be transferred to a number, as the predicate of a sentence, or None.

        `countries`: which may be called besides that of the organization's number.
        """
        if e164 == self.peer_e164:
            return "is the caller's own number"
        if e164 == self.number_e164:
            return "is the number that was called"
        return phone.bad_target(e164, self.number_e164, countries)


def ended(dial_status: str, *, bridged: bool | None, needs_key: bool, connected: bool) -> str:
    """Return the final state of a transfer.  `bridged`: by the carrier, if it says; `connected`: by our record."""
    if dial_status in _PICKED_UP:
        accepted = (connected or not needs_key) if bridged is None else bridged
        return "completed" if accepted else "not_accepted"
    return _UNANSWERED.get(dial_status, "failed")


def broken_off(state: str) -> str:
    """Return the final state of an active transfer whose call is over, or goes elsewhere."""
    return "completed" if state == "connected" else "canceled"


def reason(state: str) -> str:
    """Return the end reason of a call that ended in this state of its transfer."""
    return TRANSFERRED if state in {"connected", "completed"} else CALLER


_OUTCOMES: Mapping[str, str] = {
    "busy": "the line is busy",
    "no_answer": "nobody answered",
    "not_accepted": "nobody took the call there",
    "failed": "the number could not be reached",
    "canceled": "it was cancelled",
}


def outcome_text(label: str | None, to_e164: str, state: str) -> str:
    """Return the message to the agent about an unanswered transfer, also for the transcript."""
    return f"The transfer to {label or to_e164} did not come about: {_OUTCOMES[state]}."


def fault_text(label: str, to_e164: str) -> str:
    """Return the message to the agent about a requested transfer that was never dialled."""
    return (
        f"The transfer to {label or to_e164} was not made, because of a technical fault. The caller is still with you. "
        "If they still want it, ask for it again."
    )


def dial(id: str, to_e164: str, caller_id_e164: str, ring_seconds: int, *, whispers: bool) -> runtime_pb2.CarrierStep:
    """Return the carrier's step that rings."""
    return runtime_pb2.CarrierStep(
        dial=runtime_pb2.DialPerson(
            transfer_id=id,
            to_e164=to_e164,
            caller_id_e164=caller_id_e164,
            ring_seconds=ring_seconds,
            whispers=whispers,
        )
    )
