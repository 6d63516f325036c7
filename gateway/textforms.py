"""The carrier's forms about texts, as requests to control.  Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from gateway.carrierforms import MAX_CHARS, sender, short_text, storable
from hum.v1 import runtime_pb2 as pb

#: The carrier's limit on the files of a text.
MAX_MEDIA = 10
MAX_URL_CHARS = 2000
#: Prefix of the parameters that name the other recipients of a text to a group.
OTHERS = "OtherRecipients"


def receive_request(form: Mapping[str, str], arrived_at: datetime, *, is_late: bool = False) -> pb.ReceiveTextRequest:
    """Return the request for a text from a contact that arrived then; `is_late`: it was kept since."""
    request = pb.ReceiveTextRequest(
        message_sid=sid(form),
        from_e164=sender(form),
        to_e164=short_text(form, "To"),
        body=storable(form.get("Body", "")),
        media=_media(form),
        carrier_account=short_text(form, "AccountSid"),
        opt_out_type=short_text(form, "OptOutType").strip().upper(),
        is_group=any(name.startswith(OTHERS) and value for name, value in form.items()),
    )
    request.arrived_at.FromDatetime(arrived_at)
    if is_late:
        request.received_at.FromDatetime(arrived_at)
    return request


def report_request(form: Mapping[str, str], attempt_id: str) -> pb.ReportTextRequest:
    """Return the request that reports the status of a text that we sent."""
    return pb.ReportTextRequest(
        attempt_id=attempt_id[:MAX_CHARS],
        message_sid=sid(form),
        carrier_status=short_text(form, "MessageStatus") or short_text(form, "SmsStatus"),
        error_code=short_text(form, "ErrorCode"),
        to_e164=short_text(form, "To"),
    )


def sid(form: Mapping[str, str]) -> str:
    """Return the carrier's id of a text, by its current or its older name."""
    return form.get("MessageSid") or form.get("SmsSid", "")


def _media(form: Mapping[str, str]) -> Iterator[pb.ReceivedMedia]:
    """Yield the files that have a URL, whatever `NumMedia` counts."""
    for number in range(MAX_MEDIA):
        url = storable(form.get(f"MediaUrl{number}", ""))
        if url and len(url) <= MAX_URL_CHARS:
            yield pb.ReceivedMedia(url=url, content_type=short_text(form, f"MediaContentType{number}"))
