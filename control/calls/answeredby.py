"""Who answered a placed call: a person, a machine or a screening assistant; and what happens then.  Pure."""

from collections.abc import Mapping
from typing import Any

from control.base.wire import word
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


#: Phrases of screening assistants, in any order, and phrases that only mailboxes use.
_SCREENING_PHRASES = (
    ("reason for calling", "why you're calling", "why you are calling", "reason for your call", "who is calling"),
    ("grund für ihren anruf", "grund ihres anrufs", "warum sie anrufen", "wer anruft"),
    ("motif de votre appel", "raison de votre appel", "pourquoi vous appelez", "qui appelle"),
    ("motivo de su llamada", "motivo de la llamada", "por qué llama", "quién llama"),
    ("motivo della chiamata", "motivo della sua chiamata", "perché chiama", "chi chiama"),
    ("motivo da chamada", "motivo da ligação", "por que está ligando", "quem está ligando"),
)
_MAILBOX_PHRASES = (
    ("after the tone", "after the beep", "at the tone", "leave a message", "leave your message", "leave me a message"),
    ("nach dem signalton", "nach dem ton", "eine nachricht hinterlassen", "hinterlassen sie eine nachricht"),
    ("après le bip", "après le signal", "laissez un message", "laisser un message"),
    ("después del tono", "después de la señal", "deje un mensaje", "deje su mensaje"),
    ("dopo il segnale", "lasciate un messaggio", "lasci un messaggio"),
    ("após o sinal", "depois do sinal", "deixe uma mensagem", "deixe a sua mensagem", "deixe sua mensagem"),
)


def is_screening(heard: str) -> bool:
    """Tell whether a screening assistant, and not a mailbox, said this."""
    text = " ".join(heard.lower().replace("\u2019", "'").split())
    asks = any(phrase in text for phrases in _SCREENING_PHRASES for phrase in phrases)
    return asks and not any(phrase in text for phrases in _MAILBOX_PHRASES for phrase in phrases)
