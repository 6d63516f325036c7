"""The carrier's forms about texts, as requests to control.  Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from gateway.twiml import MAX_CHARS
from hum.v1 import runtime_pb2 as pb

#: As many files as the carrier ever puts into a text.
MOST_MEDIA = 10
MAX_URL_CHARS = 2000
#: Of texts to a group, the other ones that got it.
OTHERS = "OtherRecipients"


def receive_request(form: Mapping[str, str], received_at: datetime | None = None) -> pb.ReceiveTextRequest:
    """A text that a contact sent; with `received_at`, one that came then."""
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
    """What the carrier says of a text that we sent."""
    return pb.ReportTextRequest(
        attempt_id=attempt_id[:MAX_CHARS],
        message_sid=sid(form),
        carrier_status=_text(form, "MessageStatus") or _text(form, "SmsStatus"),
        error_code=_text(form, "ErrorCode"),
        to_e164=_text(form, "To"),
    )


def sid(form: Mapping[str, str]) -> str:
    """The carrier's id of a text; older ones have it under an older name."""
    return form.get("MessageSid") or form.get("SmsSid", "")


def _media(form: Mapping[str, str]) -> Iterator[pb.ReceivedMedia]:
    """The files that have a URL, whatever `NumMedia` counts."""
    for number in range(MOST_MEDIA):
        url = _storable(form.get(f"MediaUrl{number}", ""))
        if url and len(url) <= MAX_URL_CHARS:
            yield pb.ReceivedMedia(url=url, content_type=_text(form, f"MediaContentType{number}"))


def _text(form: Mapping[str, str], name: str) -> str:
    return _storable(form.get(name, "")[:MAX_CHARS])


def _storable(text: str) -> str:
    """Without NUL, which no database keeps."""
    return text.replace("\0", "\ufffd")
