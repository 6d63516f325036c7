"""A call's leg, independent of the carrier: events from the caller's side, and actions towards it.

An adapter (media/legs/) translates between a carrier's wire format and these events and actions.  Audio is
headerless G.711 mu-law, 8 kHz, 8 bytes per ms.  Objects created for every message are msgspec structs, which take a
third of the time of a frozen dataclass.
"""

from collections.abc import Mapping
from typing import final

import msgspec

#: Reason: the carrier violated its protocol.
CARRIER_PROTOCOL = "carrier_protocol"


class HangUp(msgspec.Struct, frozen=True):
    """The call is over: the reason code (`StreamEnded.reason`), and what was wrong, in words, if anything was."""

    reason: str
    detail: str = ""


class MoveOn(msgspec.Struct, frozen=True):
    """The call leaves this leg and continues as control has stored; the reason code names the next step."""

    reason: str
    detail: str = ""


#: The ways to leave a leg.
Outcome = HangUp | MoveOn


class Started(msgspec.Struct, frozen=True):
    """The leg is up; only its failure may come before this.  Both ids are the carrier's."""

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
    """The caller has hung up, or is gone: the reason code (`StreamEnded.reason`)."""

    reason: str = "caller"


class Broken(msgspec.Struct, frozen=True):
    """The carrier violated its protocol; `detail` says how."""

    detail: str


@final
class Mark(msgspec.Struct, frozen=True, gc=False):
    """A marker behind the audio that was sent before it.

    It comes back when all of that audio has been played, or when a Clear has discarded it.  Numbers rise within a
    call.
    """

    number: int


@final
class Play(msgspec.Struct, frozen=True, gc=False):
    """Audio of any length, to be played after what was sent before."""

    audio: bytes


@final
class Clear(msgspec.Struct, frozen=True, gc=False):
    """Discard what has not been played."""


class Leave(msgspec.Struct, frozen=True):
    """The call leaves this leg; nothing follows."""

    outcome: Outcome


LegEvent = Started | Audio | Digit | Mark | Stopped | Broken
ToLeg = Play | Mark | Clear
