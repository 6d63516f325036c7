"""TwiML, and the carrier's forms.  Pure."""

import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape, quoteattr

from hum.carrier import OVERRIDES, Parameters
from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
EMPTY = f"{HEAD}<Response/>"


MAX_FIELDS = 200
#: The longest that we take of a number, a SIP address, or a name.
MAX_CHARS = 256
CALL_SID = re.compile(r"[A-Za-z0-9]{2,64}")
#: The carrier's words for STIR/SHAKEN (twilio.com/docs/voice/trusted-calling-with-shakenstir), without level and suffix.
PASSED, FAILED = "TN-Validation-Passed", "TN-Validation-Failed"


def form(body: bytes) -> Parameters:
    """A form body's parameters, blank ones too: they are signed.  Raises ValueError for more than `MAX_FIELDS`."""
    return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)


def is_call_sid(text: str) -> bool:
    """Tell whether the carrier may have made this id of a call."""
    return CALL_SID.fullmatch(text) is not None


def route_request(form: Mapping[str, str], apologized_at: datetime | None = None) -> pb.RouteCallRequest:
    """A call that came in; with `apologized_at`, one whose caller has heard an apology."""
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
    """What the carrier says of a call's status."""
    return pb.ReportCallStatusRequest(
        call_sid=form.get("CallSid", ""), carrier_status=_text(form, "CallStatus"), to_e164=_text(form, "To")
    )


def next_request(form: Mapping[str, str], call_id: str) -> pb.NextStepRequest:
    """A stream has closed."""
    return pb.NextStepRequest(call_id=call_id, call_sid=form.get("CallSid", ""), to_e164=_text(form, "To"))


def verification(stir_verstat: str) -> "calls_pb2.CallerVerification.ValueType":
    """Whether the network vouches for the caller's number, by the carrier's `StirVerstat`."""
    if stir_verstat.startswith(PASSED):
        return calls_pb2.CALLER_VERIFICATION_PASSED
    if stir_verstat.startswith(FAILED):
        return calls_pb2.CALLER_VERIFICATION_FAILED
    return calls_pb2.CALLER_VERIFICATION_UNSPECIFIED


def _text(form: Mapping[str, str], name: str) -> str:
    """A parameter as control takes it: of bounded length, and without NUL, which no database keeps."""
    return form.get(name, "")[:MAX_CHARS].replace("\0", "\ufffd")


def render(step: pb.CarrierStep, media_url: str, public_url: str) -> str:
    """The carrier's next step, as TwiML."""
    match step.WhichOneof("step"):
        case "connect":
            return _document(_connect(step.connect, media_url, public_url))
        case "say":
            language = f" language={quoteattr(step.say.language)}" if step.say.HasField("language") else ""
            return _document(f"<Say{language}>{escape(step.say.text)}</Say><Hangup/>")
        case "reject":
            return _document(f"<Reject reason={quoteattr(step.reject.reason)}/>")
        case _:
            return _document("<Hangup/>")


def _connect(connect: pb.ConnectStream, media_url: str, public_url: str) -> str:
    action = quoteattr(f"{public_url}/twilio/voice/next/{connect.call_id}{OVERRIDES}")
    stream = quoteattr(f"{media_url}/media/twilio")
    # Twilio strips the query from a stream's URL: what the stream must show travels as a parameter.
    token = f'<Parameter name="token" value={quoteattr(connect.token)}/>'
    return f"<Connect action={action}><Stream url={stream}>{token}</Stream></Connect>"


def say(text: str) -> str:
    """Say a sentence and hang up."""
    return _document(f"<Say>{escape(text)}</Say><Hangup/>")


def _document(verbs: str) -> str:
    return f"{HEAD}<Response>{verbs}</Response>"
