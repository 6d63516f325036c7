"""To whom a call may be transferred, and what becomes of the caller.  Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import phonenumbers

from control.base import phone
from control.calls.owed import AGENT
from hum.v1 import runtime_pb2

#: How many transfers the agent of a call may ask for, and how many the call may have in all.
MAX_OF_AGENT, MAX_OF_CALL = 5, 20
SUMMARY_CHARS = 500
#: The key that takes a call.
ACCEPT_KEY = "1"

ACTIVE = ("ringing", "answered", "connected")
TRANSFERRED, CALLER = "transferred", "caller"
#: The carrier's status of a dial that nobody took -> the transfer's state; any other is a failure.
_UNTAKEN: Mapping[str, str] = {"busy": "busy", "no-answer": "no_answer", "canceled": "canceled"}
_PICKED_UP = frozenset({"completed", "answered"})
#: An admin's map may name any country; what an operator gives for one call, only those that may be called.
EVERYWHERE = frozenset({"*"})


@dataclass(frozen=True, slots=True)
class Target:
    """A number of a transfer map, and how it is rung."""

    to_e164: str
    needs_key: bool = False
    ring_seconds: int = 0
    unanswered: str = AGENT


def targets(definition: Mapping[str, Any]) -> dict[str, Target]:
    """The labels of a flow's transfer map that are numbers which may be called; `usable` has checked the map."""
    stored: dict[str, Any] = json.loads(definition.get("transfer_map_json") or "{}")
    found = {label: _target(entry) for label, entry in stored.items()}
    return {label: each for label, each in found.items() if each is not None and bad_number(each.to_e164) is None}


def _target(entry: Any) -> Target | None:
    if isinstance(entry, str):
        return Target(entry) if entry.startswith("+") else None  # else it is a flow
    return Target(
        entry["to"],
        bool(entry.get("accept_key", False)),
        int(entry.get("timeout_seconds", 0)),
        str(entry.get("unanswered", AGENT)),
    )


def bad_number(e164: str) -> str | None:
    """Why nobody may be called at this number, as the end of a sentence; None if they may.

    The numbers of a map are an admin's and need only be possible: the carrier knows better which exist.
    """
    try:
        return phone.bad_callee(e164, e164, EVERYWHERE)
    except phonenumbers.NumberParseException:
        return "is not a phone number"


def bad_given_number(e164: str) -> str | None:
    """As `bad_number`, for a number that somebody gives for one call: it must be valid in its country's numbering plan."""
    if (complaint := bad_number(e164)) is not None:
        return complaint
    return None if phonenumbers.is_valid_number(phonenumbers.parse(e164)) else "is not in its country's numbering plan"


@dataclass(frozen=True, slots=True)
class Parties:
    """The numbers of a call: whose number it is, and who is on the line."""

    ours_e164: str
    theirs_e164: str

    @classmethod
    def of(cls, direction: str, from_e164: str, to_e164: str) -> "Parties":
        return cls(from_e164, to_e164) if direction == "outbound" else cls(to_e164, from_e164)

    def bad_target(self, e164: str) -> str | None:
        """Why this call can't be transferred there, as the end of a sentence; None if it can."""
        if e164 == self.theirs_e164:
            return "is the caller's own number"
        if e164 == self.ours_e164:
            return "is the number that was called"
        return None


def ended(dial_status: str, *, bridged: bool | None, needs_key: bool, connected: bool) -> str:
    """The state of a transfer whose dial is over.  `connected`: as far as we know."""
    if dial_status in _PICKED_UP:
        taken = (connected or not needs_key) if bridged is None else bridged
        return "completed" if taken else "not_accepted"
    return _UNTAKEN.get(dial_status, "failed")


def broken_off(state: str) -> str:
    """The state of an active transfer whose call is over, or goes elsewhere."""
    return "completed" if state == "connected" else "canceled"


def reason(state: str) -> str:
    """Why a call ended that ended in this state of its transfer."""
    return TRANSFERRED if state in {"connected", "completed"} else CALLER


_TOLD: Mapping[str, str] = {
    "busy": "the line is busy",
    "no_answer": "nobody answered",
    "not_accepted": "nobody took the call there",
    "failed": "the number could not be reached",
    "canceled": "it was cancelled",
}


def told(label: str | None, to_e164: str, state: str) -> str:
    """What the transcript says, and the agent is told, of a transfer that nobody took."""
    return f"The transfer to {label or to_e164} did not come about: {_TOLD[state]}."


def told_of_fault(label: str, to_e164: str) -> str:
    """What the agent is told of a transfer that was asked for and never made."""
    return (
        f"The transfer to {label or to_e164} was not made, because of a technical fault. The caller is still with you. "
        "If they still want it, ask for it again."
    )


def dial(id: str, to_e164: str, caller_id_e164: str, ring_seconds: int, *, whispers: bool) -> runtime_pb2.CarrierStep:
    """The carrier's step that rings."""
    return runtime_pb2.CarrierStep(
        dial=runtime_pb2.DialPerson(
            transfer_id=id,
            to_e164=to_e164,
            caller_id_e164=caller_id_e164,
            ring_seconds=ring_seconds,
            whispers=whispers,
        )
    )
