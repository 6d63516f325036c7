"""The carrier's forms about texts as requests to control."""

from datetime import UTC, datetime

from gateway import textforms

AT = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
FORM = {"MessageSid": "SM1", "From": "+13175551234", "To": "+12125550100", "Body": "STOP"}


def test_each_text_has_the_time_of_its_arrival_and_a_late_one_says_so() -> None:
    at_once, late = textforms.receive_request(FORM, AT), textforms.receive_request(FORM, AT, is_late=True)
    assert at_once.arrived_at == late.arrived_at == late.received_at
    assert at_once.arrived_at.ToDatetime(UTC) == AT
    assert not at_once.HasField("received_at")
