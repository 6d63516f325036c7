"""TwiML, and the carrier's forms.  Pure."""

import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape, quoteattr

from hum.twiliosignature import OVERRIDES, Parameters
from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
EMPTY = f"{HEAD}<Response/>"


MAX_FIELDS = 200
#: The most characters that we accept of a number, a SIP address, or a name.
MAX_CHARS = 256
#: The most digits of a call's duration in seconds.
DURATION_DIGITS = 7
#: Characters that XML 1.0 forbids: the carrier would refuse the whole document.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SID = re.compile(r"[A-Za-z0-9]{2,64}")
#: The carrier's STIR/SHAKEN results (twilio.com/docs/voice/trusted-calling-with-shakenstir), without level and suffix.
PASSED, FAILED = "TN-Validation-Passed", "TN-Validation-Failed"


def form(body: bytes) -> Parameters:
    """Parse a form body into its parameters as they were signed, with blank ones.

    Bytes that are not UTF-8 become surrogates, which `readable` replaces.  Raises ValueError for more than
    `MAX_FIELDS`.
    """
    text = body.decode("utf-8", "surrogateescape")
    return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="surrogateescape")


def readable(text: str) -> str:
    """Return a parameter without surrogates."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def is_sid(text: str) -> bool:
    """Tell whether this has the form of the carrier's ids of calls and texts."""
    return SID.fullmatch(text) is not None


def route_request(form: Mapping[str, str], apologized_at: datetime | None = None) -> pb.RouteCallRequest:
    """Return the request for an inbound call; with `apologized_at`, for one whose caller heard an apology then."""
    request = pb.RouteCallRequest(
        call_sid=form.get("CallSid", ""),
        from_e164=_text(form, "From"),
        to_e164=_text(form, "To"),
        caller_name=_text(form, "CallerName") if "CallerName" in form else None,
        carrier_account=_text(form, "AccountSid"),
        caller_verification=verification(form.get("StirVerstat", "")),
    )
    if apologized_at is not None:
        request.apologized_at.FromDatetime(apologized_at)
    return request


def status_request(form: Mapping[str, str]) -> pb.ReportCallStatusRequest:
    """Return the request that reports a call's status."""
    return pb.ReportCallStatusRequest(
        call_sid=form.get("CallSid", ""),
        carrier_status=_text(form, "CallStatus"),
        to_e164=_text(form, "To"),
        lasted_seconds=_duration_seconds(form),
    )


def _duration_seconds(form: Mapping[str, str]) -> int | None:
    """Return how long a leg of a call lasted, or None if the carrier gives no plausible number."""
    text = form.get("CallDuration", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DURATION_DIGITS else None


def placed_request(form: Mapping[str, str], attempt_id: str) -> pb.AnswerPlacedCallRequest:
    """Return the request for a call that we placed and that was answered."""
    return pb.AnswerPlacedCallRequest(
        attempt_id=attempt_id, call_sid=form.get("CallSid", ""), to_e164=_text(form, "To")
    )


def placed_status_request(form: Mapping[str, str], attempt_id: str) -> pb.ReportPlacedCallRequest:
    """Return the request that reports the status of a call that we placed."""
    return pb.ReportPlacedCallRequest(
        attempt_id=attempt_id,
        call_sid=form.get("CallSid", ""),
        to_e164=_text(form, "To"),
        carrier_status=_text(form, "CallStatus"),
        carrier_code=_text(form, "ErrorCode") or _text(form, "SipResponseCode"),
        lasted_seconds=_duration_seconds(form),
    )


def answered_by_request(form: Mapping[str, str], attempt_id: str) -> pb.ReportAnsweredByRequest:
    """Return the request that reports who answered a call that we placed, by the carrier's detection."""
    return pb.ReportAnsweredByRequest(
        attempt_id=attempt_id, call_sid=form.get("CallSid", ""), answered_by=_text(form, "AnsweredBy")
    )


def next_request(form: Mapping[str, str], call_id: str) -> pb.NextStepRequest:
    """Return the request for the next step of a call whose stream has closed."""
    return pb.NextStepRequest(
        call_id=call_id,
        call_sid=form.get("CallSid", ""),
        to_e164=_text(form, "To"),
        carrier_status=_text(form, "CallStatus"),
    )


def end_dial_request(
    form: Mapping[str, str], transfer_id: str, apologized_at: datetime | None = None
) -> pb.EndDialRequest:
    """Return the request for a dial that is over; with `apologized_at`, for one that control did not process in time."""
    request = pb.EndDialRequest(
        transfer_id=transfer_id,
        call_sid=form.get("CallSid", ""),
        to_e164=_text(form, "To"),
        carrier_status=_text(form, "CallStatus"),
        dial_status=_text(form, "DialCallStatus"),
        bridged=is_bridged(form) if "DialBridged" in form else None,
    )
    if apologized_at is not None:
        request.apologized_at.FromDatetime(apologized_at)
    return request


def is_bridged(form: Mapping[str, str]) -> bool:
    """Tell whether the caller was connected to the dialled person."""
    return form.get("DialBridged", "").lower() == "true"


def report_dial_request(
    form: Mapping[str, str], transfer_id: str, received_at: datetime | None = None
) -> pb.ReportDialRequest:
    """Return the request that reports the status of a dialled leg; with `received_at`, a status that arrived then."""
    request = pb.ReportDialRequest(
        transfer_id=transfer_id,
        call_sid=form.get("CallSid", ""),
        parent_call_sid=_text(form, "ParentCallSid"),
        to_e164=_text(form, "To"),
        carrier_status=_text(form, "CallStatus"),
        lasted_seconds=_duration_seconds(form),
    )
    if received_at is not None:
        request.received_at.FromDatetime(received_at)
    return request


def whisper_request(form: Mapping[str, str], transfer_id: str) -> pb.WhisperRequest:
    """Return the request for a dialled person who has answered, or has pressed a key."""
    return pb.WhisperRequest(
        transfer_id=transfer_id,
        call_sid=form.get("CallSid", ""),
        parent_call_sid=_text(form, "ParentCallSid"),
        to_e164=_text(form, "To"),
        digits=_text(form, "Digits") if "Digits" in form else None,
    )


def verification(stir_verstat: str) -> "calls_pb2.CallerVerification.ValueType":
    """Return whether the network vouches for the caller's number, by the carrier's `StirVerstat`.

    Attestation C says where a call entered the network, and nothing of its number.
    """
    if stir_verstat.startswith(PASSED) and not stir_verstat.startswith(f"{PASSED}-C"):
        return calls_pb2.CALLER_VERIFICATION_PASSED
    if stir_verstat.startswith(FAILED):
        return calls_pb2.CALLER_VERIFICATION_FAILED
    return calls_pb2.CALLER_VERIFICATION_UNSPECIFIED


def _text(form: Mapping[str, str], name: str) -> str:
    """Return a parameter as control accepts it: of bounded length, and without NUL, which PostgreSQL can't store."""
    return form.get(name, "")[:MAX_CHARS].replace("\0", "\ufffd")


def render(step: pb.CarrierStep, media_url: str, public_url: str) -> str:
    """Return the carrier's next step as TwiML."""
    match step.WhichOneof("step"):
        case "connect":
            return _document(_connect(step.connect, media_url, public_url))
        case "say":
            return _document(f"{_spoken(step.say)}<Hangup/>")
        case "reject":
            return _document(f"<Reject reason={quoteattr(step.reject.reason)}/>")
        case "dial":
            return _document(_dial(step.dial, public_url))
        case _:
            return _document("<Hangup/>")


def _connect(connect: pb.ConnectStream, media_url: str, public_url: str) -> str:
    action = quoteattr(f"{public_url}/twilio/voice/next/{connect.call_id}{OVERRIDES}")
    stream = quoteattr(f"{connect.media_url or media_url}/media/twilio")
    # Twilio strips the query from a stream's URL, so the token travels as a parameter.
    token = f'<Parameter name="token" value={quoteattr(connect.token)}/>'
    first = _spoken(connect.say_first) if connect.HasField("say_first") else ""
    return f"{first}<Connect action={action}><Stream url={stream}>{token}</Stream></Connect>"


def _spoken(speech: pb.SayAndHangUp | pb.SayFirst) -> str:
    return _say(speech.text, speech.language if speech.HasField("language") else "")


def _dial(dial: pb.DialPerson, public_url: str) -> str:
    """Return the verb that dials a person; the caller hears ringing until connected, also during the whisper."""
    action = f"{public_url}/twilio/voice/transfer/{dial.transfer_id}"
    whisper = f" url={quoteattr(whisper_url(public_url, dial.transfer_id))}" if dial.whispers else ""
    status = f'statusCallback={quoteattr(f"{action}/status{OVERRIDES}")} statusCallbackEvent="answered"'
    return (
        f'<Dial action={quoteattr(action + OVERRIDES)} timeout="{dial.ring_seconds}" '
        f'callerId={quoteattr(dial.caller_id_e164)} answerOnBridge="true">'
        f"<Number{whisper} {status}>{escape(dial.to_e164)}</Number></Dial>"
    )


def whisper_url(public_url: str, transfer_id: str) -> str:
    """Return the URL that the carrier asks for a transfer's whisper, and to which it reports the pressed key."""
    return f"{public_url}/twilio/voice/whisper/{transfer_id}{OVERRIDES}"


def whisper(step: pb.WhisperResponse, url: str) -> str:
    """Return what the person who answered hears, as TwiML.  If it ends without a hang-up, they are connected.

    They are asked for the key twice: people who pick up a telephone miss the first words.
    """
    match step.WhichOneof("step"):
        case "connect":
            return EMPTY
        case "say":
            speech = step.say
            if not speech.prompt:
                return _document(_say(speech.text, speech.language))
            gather = f'<Gather numDigits="1" timeout="{speech.key_seconds}" action={quoteattr(url)}>'
            first, again = (_say(text, speech.language) for text in (f"{speech.text} {speech.prompt}", speech.prompt))
            return _document(f"{gather}{first}</Gather>{gather}{again}</Gather><Hangup/>")
        case _:
            return _document("<Hangup/>")


def hang_up() -> str:
    return _document("<Hangup/>")


def say(text: str) -> str:
    """Return TwiML that says a sentence and hangs up."""
    return _document(f"{_say(text)}<Hangup/>")


def _say(text: str, language: str = "") -> str:
    attribute = f" language={quoteattr(language)}" if language else ""
    return f"<Say{attribute}>{escape(_NO_XML.sub(' ', text))}</Say>"


def _document(verbs: str) -> str:
    return f"{HEAD}<Response>{verbs}</Response>"
