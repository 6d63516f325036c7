"""An organization with many campaigns is visited no more often than its share."""

import pytest

from control.campaigns.visits import FEW_CAMPAIGNS, VISITS_PER_SECOND, delay_seconds


@pytest.mark.parametrize(
    ("wanted", "running", "seconds"),
    [
        (0.0, 1, 0.0),
        (1.0, FEW_CAMPAIGNS, 1.0),
        (0.0, 500, 25.0),
        (1.0, 500, 25.0),
        (60.0, 500, 60.0),
        (1.0, 2000, 100.0),
    ],
)
def test_when_a_campaign_is_visited_again(wanted: float, running: int, seconds: float) -> None:
    assert delay_seconds(wanted, running) == seconds


def test_so_many_visits_a_second_and_no_more() -> None:
    for running in range(FEW_CAMPAIGNS + 1, 2000, 7):
        assert running / delay_seconds(0.0, running) == pytest.approx(VISITS_PER_SECOND)
