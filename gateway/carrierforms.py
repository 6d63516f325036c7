"""The carrier's forms: parsed, and those about calls as requests to control.  Pure."""

import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl

from gateway import callerverification
from hum.twiliosignature import Parameters
from hum.v1 import runtime_pb2 as pb

MAX_FIELDS = 200
#: The most characters that we accept of a number, a SIP address, or a name.
MAX_CHARS = 256
#: The most digits of a call's duration in seconds.
DURATION_DIGITS = 7
SID = re.compile(r"[A-Za-z0-9]{2,64}")
#: What stands for a withheld number, as carriers write it most.
ANONYMOUS = "anonymous"
#: The carrier's stand-ins for a withheld number: ANONYMOUS, RESTRICTED (in its two spellings), BLOCKED, UNKNOWN and
#: UNAVAILABLE as a telephone's keys spell them.
STAND_INS = frozenset({"266696687", "7378742833", "7378742883", "2562533", "8656696", "86282452253"})


def parse(body: bytes) -> Parameters:
    """Parse a form body into its parameters as they were signed, with blank ones.

    Bytes that are not UTF-8 become surrogates, which `readable` replaces.  Raises ValueError for more than
    `MAX_FIELDS`.
    """
    text = body.decode("utf-8", "surrogateescape")
    return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="surrogateescape")


def readable(parameters: Parameters) -> dict[str, str]:
    """Return a form by the names of its parameters, without surrogates."""
    return {_readable(name): _readable(value) for name, value in parameters}


def _readable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def is_sid(text: str) -> bool:
    """Tell whether this has the form of the carrier's ids of calls and texts."""
    return SID.fullmatch(text) is not None


def short_text(form: Mapping[str, str], name: str) -> str:
    """Return a parameter of bounded length, as control accepts it."""
    return storable(form.get(name, "")[:MAX_CHARS])


def sender(form: Mapping[str, str]) -> str:
    """Return the other party's number, or `anonymous` for a stand-in.

    The carrier writes a withheld number as the digits of a word (Twilio's help center: "Why am I getting calls from these
    strange numbers?").  Some of them pass as numbers, so that strangers would share a contact.
    """
    number = short_text(form, "From")
    return ANONYMOUS if number.removeprefix("+") in STAND_INS else number


def storable(text: str) -> str:
    """Replace NUL, which PostgreSQL can't store."""
    return text.replace("\0", "\ufffd")


def route_request(form: Mapping[str, str], apologized_at: datetime | None = None) -> pb.RouteCallRequest:
    """Return the request for an inbound call; with `apologized_at`, for one whose caller heard an apology then."""
    request = pb.RouteCallRequest(
        call_sid=form.get("CallSid", ""),
        from_e164=sender(form),
        to_e164=short_text(form, "To"),
        caller_name=short_text(form, "CallerName") if "CallerName" in form else None,
        carrier_account=short_text(form, "AccountSid"),
        caller_verification=callerverification.of(form.get("StirVerstat", "")),
    )
    if apologized_at is not None:
        request.apologized_at.FromDatetime(apologized_at)
    return request


def status_request(form: Mapping[str, str]) -> pb.ReportCallStatusRequest:
    """Return the request that reports a call's status."""
    return pb.ReportCallStatusRequest(
        call_sid=form.get("CallSid", ""),
        carrier_status=short_text(form, "CallStatus"),
        to_e164=short_text(form, "To"),
        lasted_seconds=_duration_seconds(form),
    )


def _duration_seconds(form: Mapping[str, str]) -> int | None:
    """Return how long a leg of a call lasted, or None if the carrier gives no plausible number."""
    text = form.get("CallDuration", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DURATION_DIGITS else None


def placed_request(
    form: Mapping[str, str], attempt_id: str, hung_up_at: datetime | None = None
) -> pb.AnswerPlacedCallRequest:
    """Return the request for a call that we placed and that was answered; with `hung_up_at`, for one that we ended then."""
    request = pb.AnswerPlacedCallRequest(
        attempt_id=attempt_id, call_sid=form.get("CallSid", ""), to_e164=short_text(form, "To")
    )
    if hung_up_at is not None:
        request.hung_up_at.FromDatetime(hung_up_at)
    return request


def placed_status_request(form: Mapping[str, str], attempt_id: str) -> pb.ReportPlacedCallRequest:
    """Return the request that reports the status of a call that we placed."""
    return pb.ReportPlacedCallRequest(
        attempt_id=attempt_id,
        call_sid=form.get("CallSid", ""),
        to_e164=short_text(form, "To"),
        carrier_status=short_text(form, "CallStatus"),
        carrier_code=short_text(form, "ErrorCode") or short_text(form, "SipResponseCode"),
        lasted_seconds=_duration_seconds(form),
    )


def answered_by_request(form: Mapping[str, str], attempt_id: str) -> pb.ReportAnsweredByRequest:
    """Return the request that reports who answered a call that we placed, by the carrier's detection."""
    return pb.ReportAnsweredByRequest(
        attempt_id=attempt_id, call_sid=form.get("CallSid", ""), answered_by=short_text(form, "AnsweredBy")
    )


def next_request(form: Mapping[str, str], call_id: str, apologized_at: datetime | None = None) -> pb.NextStepRequest:
    """Return the request for the next step of a call whose stream has closed.

    With `apologized_at`, for one whose caller heard an apology then.
    """
    request = pb.NextStepRequest(
        call_id=call_id,
        call_sid=form.get("CallSid", ""),
        to_e164=short_text(form, "To"),
        carrier_status=short_text(form, "CallStatus"),
    )
    if apologized_at is not None:
        request.apologized_at.FromDatetime(apologized_at)
    return request


def end_dial_request(
    form: Mapping[str, str], transfer_id: str, apologized_at: datetime | None = None
) -> pb.EndDialRequest:
    """Return the request for a dial that is over; with `apologized_at`, for one that control did not process in time."""
    request = pb.EndDialRequest(
        transfer_id=transfer_id,
        call_sid=form.get("CallSid", ""),
        to_e164=short_text(form, "To"),
        carrier_status=short_text(form, "CallStatus"),
        dial_status=short_text(form, "DialCallStatus"),
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
        parent_call_sid=short_text(form, "ParentCallSid"),
        to_e164=short_text(form, "To"),
        carrier_status=short_text(form, "CallStatus"),
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
        parent_call_sid=short_text(form, "ParentCallSid"),
        to_e164=short_text(form, "To"),
        digits=short_text(form, "Digits") if "Digits" in form else None,
    )
