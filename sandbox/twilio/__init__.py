"""A stand-in for Twilio that speaks its wire protocol and records the ground truth of every call and text.

The far end.  A test sets who answers at a number, one Person per call (the last one repeatedly):
    carrier.set_people("+14155550123", farend.busy(), farend.human("Hello?"))
`farend` has people, refusals, answering machines, faxes and screening phones; any other far end is a Person with steps
(`caller.py`).  Over HTTP: PUT /sandbox/people/{e164} {"kind": "machine"} (names in farend.KINDS); or `--person E164=KIND`.
Spoken texts are voice-like sound without words; for words: person.steps = await voiced(person.steps, Speech()).
An inbound call: carrier.ring(..., steps).

Texts.  carrier.text(number, from_, "hello", ("image/png", bytes)) sends a text from a handset;
carrier.texting.recipients[e164] = Recipient(...) sets how texts to a number end (refused, undelivered, answered, never reported),
texting.services[sid] = Service(...) is a Messaging Service, texting.pace.segments_per_second queues texts.
`await carrier.texts_settled()` waits until every text is final and every callback is sent; carrier.texts_to(e164) are the
accepted messages, with `arrived_at` and `notices` (their callbacks), texting.book.sent_to counts the messages that left,
texting.book.requests are the API's requests.  Over HTTP: textsandboxapi.py.

Faults.  carrier.inject_faults(Fault("create", "cut")): the next call is created and its response is lost; faults.py lists
the others, for REST and for callbacks.  Over HTTP: POST /sandbox/faults.  Limits: PUT /sandbox/limits.

Ground truth.  carrier.calls_to(e164) are all calls ever made to a number; call.truth.as_json() has status, who hung up,
webhooks, TwiML verbs, sentences, streams, and under `heard` what the person heard when (ringing, say, play, stream, bridge, silence);
call.heard_audio.of("bridge") is that audio, `await call.journal.find("bridged")` waits for an event, and
`machine.recording` events tell what a machine recorded.  Over HTTP: sandboxapi.py.  `await call.ended()` waits for the call's end.

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
from sandbox.twilio.playout import CarrierPlayout, Echo, HeardSegment, ReceivedClear
from sandbox.twilio.signature import sign
from sandbox.twilio.stream import Path, Stream
from sandbox.twilio.texting import Recipient, Service
from sandbox.twilio.truth import Truth
from sandbox.twilio.voiced import voiced

__all__ = [
    "Amd",
    "BadStep",
    "Call",
    "Caller",
    "Carrier",
    "CarrierPlayout",
    "Echo",
    "Fault",
    "HeardSegment",
    "Listing",
    "NoSuchLine",
    "Path",
    "Person",
    "ReceivedClear",
    "Recipient",
    "Service",
    "Stream",
    "Truth",
    "farend",
    "say",
    "sign",
    "simulate_call",
    "voiced",
]
