"""A stand-in for Twilio that speaks its wire protocol and records what really happened.

Who is on the far end.  A test says who answers at a number, one Person for each call (the last for good):
    carrier.introduce("+14155550123", farend.busy(), farend.human("Hello?"))
`farend` has people, refusals, answering machines, faxes, screening phones; any other is a Person with steps (`caller.py`).
Over HTTP: PUT /sandbox/people/{e164} {"kind": "machine"} (names in farend.KINDS); or `--person E164=KIND`.  Texts
are voices without words; with words: person.steps = await voiced(person.steps, Speech()).  Somebody who calls in: carrier.ring(..., steps).

Texts.  carrier.text(number, from_, "hello", ("image/png", bytes)) is a handset's; carrier.texting.receivers[e164] = Receiver(...) says
how texts to one fare (refused, undelivered, answered, never reported), texting.services[sid] = Service(...) is a Messaging Service,
texting.pace.segments_per_second queues them.  `await carrier.texts_settled()` waits until everybody has been told everything;
carrier.texts_to(e164) are the messages that were accepted, with `arrived_at` and `notices` (their callbacks), texting.book.sent_to
counts those that truly left, texting.book.requests what was asked of the API.  Over HTTP: textstage.py.

What goes wrong.  carrier.go_wrong(Fault("create", "cut")): the next call is created and its response is lost; faults.py has
the others, for REST and for callbacks.  Over HTTP: POST /sandbox/faults.  Limits: PUT /sandbox/limits.

The truth.  carrier.calls_to(e164) are all calls that were ever made there; call.truth.as_json() has status, who hung up,
webhooks, TwiML verbs, sentences, streams, and under `heard` what the person heard when (ringing, say, play, stream, bridge, silence);
call.hearing.of("bridge") is that audio, `await call.journal.find("bridged")` waits for something to happen, and
`machine.recording` events tell what a machine recorded.  Over HTTP: backstage.py.  `await call.ended()` waits for its end.

Virtual time: an Exchange with a Courier of the test's runs in sandbox.loopclock.VirtualLoop (tests/sandbox/twilio/virtual.py).
"""

from sandbox.twilio import farend
from sandbox.twilio.amd import Amd
from sandbox.twilio.call import Call
from sandbox.twilio.caller import BadStep, Caller, say
from sandbox.twilio.carrier import Carrier, simulate_call
from sandbox.twilio.exchange import NoSuchLine
from sandbox.twilio.farend import Person
from sandbox.twilio.faults import Fault
from sandbox.twilio.lookup import Listing
from sandbox.twilio.playout import Clear, Echo, Playout, Segment
from sandbox.twilio.signature import sign
from sandbox.twilio.stream import Path, Stream
from sandbox.twilio.texting import Receiver, Service
from sandbox.twilio.truth import Truth
from sandbox.twilio.voiced import voiced

__all__ = [
    "Amd",
    "BadStep",
    "Call",
    "Caller",
    "Carrier",
    "Clear",
    "Echo",
    "Fault",
    "Listing",
    "NoSuchLine",
    "Path",
    "Person",
    "Playout",
    "Receiver",
    "Segment",
    "Service",
    "Stream",
    "Truth",
    "farend",
    "say",
    "sign",
    "simulate_call",
    "voiced",
]
