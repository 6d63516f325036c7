"""When a campaign's texts would leave.  Pure."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import cast

from control.campaigns.forecasting import Zone, _groups, _zones, cost, plan
from control.usage.pricetable import Price, Prices
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


async def test_states_of_one_zone_with_other_hours_are_forecast_apart() -> None:
    row = cast("CampaignRow", SimpleNamespace(honor_quiet_hours=True))
    florida, new_york, other_new_york = "+13055550123", "+12125550123", "+17185550123"
    areas = [Area(new_york, 20), Area(florida, 10), Area(other_new_york, 5)]
    for order in (areas, areas[::-1]):
        groups = await _groups(row, SENDER, order)
        assert sorted(group.count for group in groups) == [10, 25]
        course = plan(groups, EVENING, 1.0)
        assert (course.deferred, [count for _, count in course.hours]) == (10, [25, 10])


NEW_YORK, ANGELENO, ANYWHERE = "+12125550123", "+12135550123", "+18005551234"
#: 2:12 in New York, 23:12 in Los Angeles.
NIGHT = datetime(2026, 3, 6, 7, 12, tzinfo=UTC)


def test_a_forecast_tells_what_time_it_is_where_the_recipients_are() -> None:
    areas = [Area(NEW_YORK, 20), Area(ANGELENO, 5)]
    night = (Zone("America/New_York", 20, "02:12", False), Zone("America/Los_Angeles", 5, "23:12", False))
    assert _zones(SENDER, areas, NIGHT) == night
    day = (Zone("America/New_York", 20, "10:00", True), Zone("America/Los_Angeles", 5, "07:00", False))
    assert _zones(SENDER, areas, datetime(2026, 3, 6, 15, tzinfo=UTC)) == day
    # A toll-free number may be anywhere, so also where it is night.
    (zone,) = _zones(SENDER, [Area(ANYWHERE, 1)], datetime(2026, 3, 6, 15, tzinfo=UTC))
    assert not zone.is_day


BERLINER, PARISIAN = "+4915112345678", "+33612345678"


def test_segments_cost_what_their_countries_take() -> None:
    day = date(2026, 3, 6)
    table = [
        Price("segments_sent", *each)
        for each in (("US", day, Decimal("0.01"), "USD"), ("DE", day, Decimal("0.10"), "USD"))
    ]
    prices = Prices(table)
    assert cost(prices, [Area(NEW_YORK, 3), Area(ANGELENO, 1)], 8, day) == (Decimal("0.08"), "USD")
    assert cost(prices, [Area(NEW_YORK, 3), Area(BERLINER, 1)], 8, day) == (Decimal("0.26"), "USD")
    assert cost(prices, [Area(NEW_YORK, 3), Area(PARISIAN, 1)], 8, day) is None, "no price for France"
    euros = Prices([*table, Price("segments_sent", "FR", day, Decimal("0.07"), "EUR")])
    assert cost(euros, [Area(NEW_YORK, 3), Area(PARISIAN, 1)], 8, day) is None, "in two currencies"
    assert cost(prices, [], 0, day) is None


async def test_a_forecast_counts_who_would_be_texted_at_night() -> None:
    areas = [Area(NEW_YORK, 20), Area(ANGELENO, 5)]
    honors, ignores = (cast("CampaignRow", SimpleNamespace(honor_quiet_hours=honors)) for honors in (True, False))
    assert plan(await _groups(honors, SENDER, areas), NIGHT, 1.0).at_night == 0
    assert plan(await _groups(ignores, SENDER, areas), NIGHT, 1.0).at_night == 25
    keeps_none = replace(SENDER, recipient_hours_enabled=False)
    assert plan(await _groups(honors, keeps_none, areas), NIGHT, 1.0).at_night == 25
    # By day it begins, and a slow campaign runs into the night: at one text in ten minutes, from 20:30 on.
    assert plan(await _groups(honors, keeps_none, [Area(NEW_YORK, 20)]), EVENING, 1 / 600).at_night == 17
