"""Attempts at sending texts, in the form that clients see."""

from collections.abc import Sequence

from control.base.wire import timestamp
from hum.v1 import sms_delivery_pb2 as pb
from storage.text_attempts import AttemptRow, StatusReportRow


def attempt(row: AttemptRow, words: Sequence[StatusReportRow]) -> pb.MessageAttempt:
    """Show an attempt with its rows of `words`, the carrier's statuses of the message."""
    return pb.MessageAttempt(
        number=row.number,
        state=row.state,
        carrier_sid=row.carrier_sid,
        carrier_status=row.carrier_status,
        error_code=row.error_code,
        started_at=timestamp(row.started_at),
        retry_at=timestamp(row.retry_at),
        words=[
            pb.CarrierWord(
                status=word.carrier_status,
                error_code=word.error_code,
                source=word.told_by,
                received_at=timestamp(word.received_at),
            )
            for word in words
            if word.attempt_id == row.id
        ],
    )
