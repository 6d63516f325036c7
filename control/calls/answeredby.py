"""Who answered a placed call: a person, a machine or a screening assistant; and what happens then.  Pure."""

from collections.abc import Mapping
from typing import Any

from control.base.wire import word
from control.calls.screeningphrases import is_screening
from hum.v1 import flows_pb2
from hum.v1 import runtime_pb2 as pb

MACHINE, SCREENING = "machine", "screening"
#: The carrier's word for a machine that certainly waits for a message.
BEEP = "machine_end_beep"
_ANSWERED_BY: Mapping[str, str] = {"human": "human", "fax": "fax"}


def answered_by(carrier_word: str, heard: str) -> str:
    """Return who answered, by the carrier's word and the other party's transcript so far.

    A screening assistant asks for the caller's name and reason and waits for the answer, which a carrier takes for a
    machine's silence.  It plays no beep.
    """
    if carrier_word.startswith(MACHINE):
        return SCREENING if carrier_word != BEEP and is_screening(heard) else MACHINE
    return _ANSWERED_BY.get(carrier_word, "unknown")


def for_machine(definition: Mapping[str, Any], answered_by: str | None) -> pb.ForMachine | None:
    """Return what a call does about who answered, by its flow; None to continue the conversation."""
    if answered_by == "fax":
        return pb.ForMachine(hang_up=pb.HangUpNow(), reason="fax")
    if answered_by != MACHINE:
        return None
    action = definition.get("machine_action")
    match action and word(flows_pb2.MachineAction, flows_pb2.MachineAction.Value(action)):
        case "hang_up":
            return pb.ForMachine(hang_up=pb.HangUpNow(), reason=MACHINE)
        case "message":
            return pb.ForMachine(message=pb.LeaveMessage(), reason=MACHINE)
    return None
