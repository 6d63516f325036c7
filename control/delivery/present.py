"""Attempts at sending texts, as clients see them."""

from collections.abc import Sequence

from control.base.wire import timestamp
from hum.v1 import sms_delivery_pb2 as pb
from storage.text_attempts import AttemptRow, WordRow


def attempt(row: AttemptRow, words: Sequence[WordRow]) -> pb.MessageAttempt:
    """`words`: all that the carrier said of the message."""
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
                status=each.carrier_status,
                error_code=each.error_code,
                source=each.told_by,
                received_at=timestamp(each.received_at),
            )
            for each in words
            if each.attempt_id == row.id
        ],
    )
