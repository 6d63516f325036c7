"""When a campaign's texts would leave.  Pure."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

from control.campaigns.forecasting import _groups, plan
from storage.campaigns import CampaignRow, SenderRow
from storage.forecasts import Area

#: 20:30 in New York and in Miami.
EVENING = datetime(2026, 3, 6, 1, 30, tzinfo=UTC)
SENDER = SenderRow(
    org_name="Clinic",
    time_zone="UTC",
    business_hours_json=None,
    quiet_hours_enabled=False,
    recipient_hours_enabled=True,
    number_active=True,
    sms_enabled=True,
    capabilities=None,
    account="",
    running=1,
)


def test_states_of_one_zone_with_other_hours_are_forecast_apart() -> None:
    row = cast("CampaignRow", SimpleNamespace(honor_quiet_hours=True))
    florida, new_york, other_new_york = "+13055550123", "+12125550123", "+17185550123"
    areas = [Area(new_york, 20), Area(florida, 10), Area(other_new_york, 5)]
    for order in (areas, areas[::-1]):
        groups = _groups(row, SENDER, order)
        assert sorted(group.count for group in groups) == [10, 25]
        course = plan(groups, EVENING, 1.0)
        assert (course.deferred, [count for _, count in course.hours]) == (10, [25, 10])
