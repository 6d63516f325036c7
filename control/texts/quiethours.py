"""Quiet hours of texts: when one may leave, by the organization's hours and the legal texting hours where the contact lives.  Pure.

Only the number tells where that is, and people take their numbers along when they move.  So all of a number's time zones must be
open, and a state's tighter hours apply to its area codes.  The organization remains responsible for knowing the law.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Protocol

from control.base import hours, phone
from control.base.hours import Hours

ORGANIZATION_HOURS, RECIPIENT_HOURS = "organization_hours", "recipient_hours"
#: A contact who wrote this recently is awake: answers don't wait for day there.
AWAKE = timedelta(minutes=30)
Span = tuple[time, time]
#: Monday first; a day has one span.
Week = tuple[Span, Span, Span, Span, Span, Span, Span]


def _week(weekdays: Span, saturday: Span | None = None, sunday: Span | None = None) -> Week:
    return (weekdays, weekdays, weekdays, weekdays, weekdays, saturday or weekdays, sunday or weekdays)


def _hours(opens: int, closes: int) -> Span:
    return time(opens), time(closes)


#: By the clock of the called party (47 CFR 64.1200(c)(1)).
FEDERAL = _week(_hours(8, 21))
#: States with tighter hours, as of November 2026, and their area codes (North American Numbering Plan).
STATES: Mapping[str, tuple[Week, str]] = {
    "CT": (_week(_hours(9, 20)), "203 475 860 959"),
    "FL": (
        _week(_hours(8, 20)),
        "239 305 321 324 352 386 407 448 561 645 656 689 727 728 754 772 786 813 850 863 904 941 954",
    ),
    "MD": (_week(_hours(8, 20)), "227 240 301 410 443 667"),
    "MS": (_week(_hours(8, 20)), "228 601 662 769"),
    "NJ": (_week(_hours(8, 20)), "201 551 609 640 732 848 856 862 908 973"),
    "OK": (_week(_hours(8, 20)), "405 539 572 580 918"),
    "RI": (_week(_hours(9, 18), saturday=_hours(10, 17), sunday=_hours(10, 17)), "401"),
    "TX": (
        _week(_hours(9, 21), sunday=_hours(12, 21)),
        "210 214 254 281 325 346 361 409 430 432 469 512 621 682 713 726 737 806 817 830 832 903 915 936 940 945 956 972 979",
    ),
}
_OF_AREA = {f"+1{code}": week for week, codes in STATES.values() for code in codes.split()}
_AREA_CHARS = len("+1203")


def week_of(contact_e164: str) -> Week:
    """Return the local hours in which a number with this area code may be texted."""
    return _OF_AREA.get(contact_e164[:_AREA_CHARS], FEDERAL)


class ConversationHours(Protocol):
    """What the hours of a conversation's texts depend on."""

    @property
    def contact_e164(self) -> str: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def quiet_hours_enabled(self) -> bool: ...
    @property
    def business_hours_json(self) -> str | None: ...
    @property
    def recipient_hours_enabled(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class HonoredHours:
    """Hours that a text must honor, and their name: ORGANIZATION_HOURS or RECIPIENT_HOURS."""

    name: str
    hours: Hours


@dataclass(frozen=True, slots=True)
class Opening:
    """The instant at which a text may leave.  `held_by`: the hours that it waits for; None if it waits for none."""

    at: datetime
    held_by: str | None


def of_recipient(contact_e164: str, organization_zone: str) -> list[Hours]:
    """Return the texting hours of a contact, one per time zone that its number may be in."""
    always = hours.parse("{}", organization_zone)
    week = tuple((span,) for span in week_of(contact_e164))
    zones = phone.time_zones(contact_e164) or (always.zone,)
    return [replace(always, week=week, zone=zone) for zone in zones]


def honored(row: ConversationHours) -> tuple[HonoredHours, ...]:
    """Return the hours that apply to a conversation's texts, for a text that honors hours."""
    rules = list[HonoredHours]()
    if row.quiet_hours_enabled and row.business_hours_json:
        rules.append(HonoredHours(ORGANIZATION_HOURS, hours.parse(row.business_hours_json, row.time_zone)))
    if row.recipient_hours_enabled:
        rules += [
            HonoredHours(RECIPIENT_HOURS, zone_hours) for zone_hours in of_recipient(row.contact_e164, row.time_zone)
        ]
    return tuple(rules)


def opening(honored: Sequence[HonoredHours], requested_at: datetime) -> Opening | None:
    """Return when all of these hours are open, from the requested time on; None if they never are."""
    at = hours.first_open([rule.hours for rule in honored], requested_at)
    if at is None:
        return None
    closed = (rule.name for rule in honored if not hours.is_open(rule.hours, requested_at))
    return Opening(at, next(closed, None) if at > requested_at else None)
