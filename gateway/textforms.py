"""The carrier's forms about texts, as requests to control.  Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from gateway.twiml import MAX_CHARS
from hum.v1 import runtime_pb2 as pb

#: The carrier's limit on the files of a text.
MAX_MEDIA = 10
MAX_URL_CHARS = 2000
#: Prefix of the parameters that name the other recipients of a text to a group.
OTHERS = "OtherRecipients"


def receive_request(form: Mapping[str, str], received_at: datetime | None = None) -> pb.ReceiveTextRequest:
    """Return the request for a text from a contact; with `received_at`, for one that arrived then."""
    request = pb.ReceiveTextRequest(
        message_sid=sid(form),
        from_e164=_text(form, "From"),
        to_e164=_text(form, "To"),
        body=_storable(form.get("Body", "")),
        media=_media(form),
        carrier_account=_text(form, "AccountSid"),
        opt_out_type=_text(form, "OptOutType").strip().upper(),
        is_group=any(name.startswith(OTHERS) and value for name, value in form.items()),
    )
    if received_at is not None:
        request.received_at.FromDatetime(received_at)
    return request


def report_request(form: Mapping[str, str], attempt_id: str) -> pb.ReportTextRequest:
    """Return the request that reports the status of a text that we sent."""
    return pb.ReportTextRequest(
        attempt_id=attempt_id[:MAX_CHARS],
        message_sid=sid(form),
        carrier_status=_text(form, "MessageStatus") or _text(form, "SmsStatus"),
        error_code=_text(form, "ErrorCode"),
        to_e164=_text(form, "To"),
    )


def sid(form: Mapping[str, str]) -> str:
    """Return the carrier's id of a text, by its current or its older name."""
    return form.get("MessageSid") or form.get("SmsSid", "")


def _media(form: Mapping[str, str]) -> Iterator[pb.ReceivedMedia]:
    """Yield the files that have a URL, whatever `NumMedia` counts."""
    for number in range(MAX_MEDIA):
        url = _storable(form.get(f"MediaUrl{number}", ""))
        if url and len(url) <= MAX_URL_CHARS:
            yield pb.ReceivedMedia(url=url, content_type=_text(form, f"MediaContentType{number}"))


def _text(form: Mapping[str, str], name: str) -> str:
    return _storable(form.get(name, "")[:MAX_CHARS])


def _storable(text: str) -> str:
    """Replace NUL, which PostgreSQL can't store."""
    return text.replace("\0", "\ufffd")
