"""A call's leg, whoever carries it: what comes from the caller's side, and what goes there.

An adapter (media/legs/) turns a carrier's wire into these events, and these actions into its wire.  Audio is headerless
G.711 mu-law, 8 kHz, 8 bytes per ms.  What is made for every message is msgspec's, made in a third of the time that a
frozen dataclass takes.
"""

from collections.abc import Mapping

import msgspec

CARRIER_PROTOCOL = "carrier_protocol"  # why a call ends whose carrier did what its protocol does not allow


class HangUp(msgspec.Struct, frozen=True):
    """The call is over: why, in one word (`StreamEnded.reason`), and what was wrong, in words, if something was."""

    reason: str
    detail: str = ""


#: How a call leaves its leg.
Outcome = HangUp


class Started(msgspec.Struct, frozen=True):
    """The leg stands; nothing but its failure may come before.  Both ids are the carrier's."""

    stream_id: str
    call_id: str
    parameters: Mapping[str, str] = {}


class Audio(msgspec.Struct, frozen=True, gc=False):
    """One frame of caller audio; `at_ms` counts from the start of the stream, on the carrier's clock."""

    payload: bytes
    at_ms: int


class Digit(msgspec.Struct, frozen=True):
    """A key of the caller's telephone: 0-9, *, #, A-D."""

    digit: str


class Stopped(msgspec.Struct, frozen=True):
    """The caller has hung up."""


class Broken(msgspec.Struct, frozen=True):
    """The carrier sent what its protocol does not allow: why, in words."""

    detail: str


class Mark(msgspec.Struct, frozen=True, gc=False):
    """A place behind the audio that was sent before it.

    It comes back when all of that has been played, or when a Clear has thrown it away.  Numbers rise within a call.
    """

    number: int


class Play(msgspec.Struct, frozen=True, gc=False):
    """Audio to be played behind what was sent before; of any length."""

    audio: bytes


class Clear(msgspec.Struct, frozen=True, gc=False):
    """Throw away what has not been played."""


class Leave(msgspec.Struct, frozen=True):
    """The call leaves this leg; nothing follows."""

    outcome: Outcome


LegEvent = Started | Audio | Digit | Mark | Stopped | Broken
ToLeg = Play | Mark | Clear
