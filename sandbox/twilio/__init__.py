"""A stand-in for Twilio that speaks its wire protocol and records what really happened."""

from sandbox.twilio.call import Call
from sandbox.twilio.caller import BadStep, Caller, say
from sandbox.twilio.carrier import Carrier, simulate_call
from sandbox.twilio.exchange import NoSuchLine, Person
from sandbox.twilio.lookup import Listing
from sandbox.twilio.playout import Clear, Echo, Playout, Segment
from sandbox.twilio.signature import sign
from sandbox.twilio.stream import Path, Stream
from sandbox.twilio.truth import Truth

__all__ = [
    "BadStep",
    "Call",
    "Caller",
    "Carrier",
    "Clear",
    "Echo",
    "Listing",
    "NoSuchLine",
    "Path",
    "Person",
    "Playout",
    "Segment",
    "Stream",
    "Truth",
    "say",
    "sign",
    "simulate_call",
]
