"""The forecast of a launch: recipients are counted in the database; of texts that differ, a limited number is rendered."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache, partial
from zoneinfo import ZoneInfo

from control.base import texttemplates
from control.base.hours import Hours, OpenTimes, first_common, is_open
from control.campaigns import choosing
from control.campaigns.choosing import SendCampaignText
from control.texts import quiethours, segments
from control.texts.paces import Paces
from control.usage import meters, pricetable
from control.usage.pricetable import Prices
from storage import campaigns, forecasts
from storage.campaigns import CampaignRow, SenderRow
from storage.db import Tx
from storage.forecasts import Area, CountsRow, Exclusions
from storage.recipients import DueRecipientRow

#: Most texts that are rendered one by one, and how many of them, or of areas, before yielding to other tasks.
MAX_TEXTS, YIELD_EVERY = 2000, 100
#: Most areas, in all the world, that are forecast separately.
MAX_AREAS = 1000
MAX_HOURS = 400
#: Time zones in the forecast.
MAX_ZONES = 10
#: Texts in the forecast, and how many recipients are tried to find texts that can be sent.
SAMPLES, SAMPLE_CANDIDATES = 5, 50
HOUR = timedelta(hours=1)
#: Variables with the same value for all recipients.
SHARED = frozenset({"org.name", "number.phone"})


@dataclass(frozen=True, slots=True)
class Course:
    """The course of a campaign: when texts would be sent."""

    deferred: int
    #: By the hour's begin.
    hours: tuple[tuple[datetime, int], ...]
    #: None: not within the time of the forecast.
    finishes_at: datetime | None
    #: Texts outside of day where the recipient lives.
    at_night: int = 0


@dataclass(frozen=True, slots=True)
class Zone:
    """Recipients in a time zone, and whether it is day there for a text when the campaign begins."""

    time_zone: str
    recipients: int
    local_time: str
    is_day: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """A recipient's text."""

    contact_e164: str
    body: str
    segments: int


@dataclass(frozen=True, slots=True)
class TextCost:
    """The cost of the texts, estimated if not all were rendered."""

    segments: int
    estimated: bool
    unsendable: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The forecast of a launch."""

    recipients: int
    texts: TextCost
    opted_out: int
    blocked: int
    invalid: int
    unreachable: int
    landlines: int
    course: Course
    zones: tuple[Zone, ...]
    #: Of all segments, with its currency; None where a price is missing.
    cost: tuple[Decimal, str] | None


async def forecast(
    tx: Tx, row: CampaignRow, paces: Paces, countries: frozenset[str], prices: Prices, at: datetime
) -> Forecast:
    """Forecast a launch at this time.  `countries`: those that may be texted first, besides the number's own."""
    sender = await campaigns.sender(tx, row.id)
    areas = await forecasts.areas(tx, row.id, MAX_AREAS, Exclusions())
    left_out = choosing.left_out(row, [area.example for area in areas], countries)
    if left_out != Exclusions():
        areas = await forecasts.areas(tx, row.id, MAX_AREAS, left_out)
    counts = await forecasts.counts(tx, row.id, left_out)
    texts = await _texts(tx, row, sender, counts, left_out)
    segments_each = max(1.0, texts.segments / counts.texted) if counts.texted else 1.0
    per_second = paces.of(row.number_e164, sender.account) / segments_each
    if row.throttle_per_minute is not None:
        per_second = min(per_second, row.throttle_per_minute / 60)
    begins_at = max(at, row.scheduled_start_at or at)
    course = plan(await _groups(row, sender, areas), begins_at, per_second)
    if row.expires_at and course.finishes_at and course.finishes_at >= row.expires_at:
        course = replace(course, finishes_at=None)
    return Forecast(
        recipients=counts.texted,
        texts=texts,
        opted_out=counts.opted_out,
        blocked=counts.blocked,
        invalid=counts.invalid,
        unreachable=counts.unreachable,
        landlines=counts.landlines,
        course=course,
        zones=_zones(sender, areas, begins_at),
        cost=cost(prices, areas, texts.segments, at.date()),
    )


def cost(prices: Prices, areas: Sequence[Area], segments: int, day: date) -> tuple[Decimal, str] | None:
    """Return what segments to these areas cost, each country with its share of them; None unless all have a price in one currency."""
    recipients = Counter[str]()
    for area in areas:
        recipients[pricetable.country(area.example)] += area.count
    total, currencies = Decimal(0), set[str]()
    for country, count in recipients.items():
        price = prices.estimate(meters.SEGMENTS_SENT, country, round(segments * count / recipients.total()), day)
        if price is None:
            return None
        total += price[0]
        currencies.add(price[1])
    return (total, currencies.pop()) if len(currencies) == 1 else None


async def _texts(tx: Tx, row: CampaignRow, sender: SenderRow, counts: CountsRow, left_out: Exclusions) -> TextCost:
    """Return the cost of the texts: exact if all are alike or few differ, else extrapolated from the first ones."""
    template = choosing.parsed(row.body_template)
    are_alike = SHARED.issuperset(template.names)
    first = await forecasts.texts(tx, row.id, SAMPLE_CANDIDATES, left_out, own_only=False)
    samples = [sample for sample in (_sample(row, sender, due) for due in first) if sample is not None][:SAMPLES]
    differing = await forecasts.texts(tx, row.id, MAX_TEXTS, left_out, own_only=are_alike)
    cost, unsendable = 0, 0
    for index, due in enumerate(differing):
        decision = choosing.text(row, sender, due)
        cost += choosing.segments_of(decision)
        unsendable += not isinstance(decision, SendCampaignText)
        if index % YIELD_EVERY == YIELD_EVERY - 1:
            await asyncio.sleep(0)
    differing_count = counts.texted - counts.templated if are_alike else counts.texted
    estimated = differing_count > len(differing)
    if estimated:
        cost = round(cost * differing_count / len(differing))
        unsendable = round(unsendable * differing_count / len(differing))
    if are_alike and counts.templated:
        shared = texttemplates.render(template, {"org.name": sender.org_name, "number.phone": row.number_e164})
        cost += counts.templated * segments.count(shared.text)
    return TextCost(cost, estimated, unsendable, tuple(samples))


def _sample(row: CampaignRow, sender: SenderRow, due: DueRecipientRow) -> Sample | None:
    decision = choosing.text(row, sender, due)
    if not isinstance(decision, SendCampaignText):
        return None
    return Sample(due.contact_e164, decision.body, segments.count(decision.body))


# --- when -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Group:
    """Recipients who may be texted at the same times, and when it is day where they are."""

    count: int
    hours: tuple[Hours, ...]
    day: tuple[Hours, ...] = ()


async def _groups(row: CampaignRow, sender: SenderRow, areas: Sequence[Area]) -> list[Group]:
    """Group the areas that have the same hours."""
    counts = Counter[tuple[tuple[Hours, ...], tuple[Hours, ...]]]()
    for index, area in enumerate(areas):
        if index % YIELD_EVERY == YIELD_EVERY - 1:
            await asyncio.sleep(0)
        rules = choosing.texting(sender, area.example, opted_out=False)
        schedules = tuple(schedule.hours for schedule in quiethours.honored(rules)) if row.honor_quiet_hours else ()
        counts[schedules, tuple(quiethours.of_recipient(area.example, sender.time_zone))] += area.count
    return [Group(count, schedules, day) for (schedules, day), count in counts.items()]


def _zones(sender: SenderRow, areas: Sequence[Area], at: datetime) -> tuple[Zone, ...]:
    """Return the zones with the most recipients; an area in several counts where it is night, if it is in one."""
    counts = Counter[tuple[str, bool]]()
    for area in areas:
        day = quiethours.of_recipient(area.example, sender.time_zone)
        night = next((hours for hours in day if not is_open(hours, at)), None)
        counts[(night or day[0]).zone.key, night is None] += area.count
    return tuple(
        Zone(zone, count, f"{at.astimezone(ZoneInfo(zone)):%H:%M}", is_day)
        for (zone, is_day), count in counts.most_common(MAX_ZONES)
    )


def plan(groups: Sequence[Group], start: datetime, per_second: float) -> Course:
    """Plan the texts to groups at this rate, within their hours; in every hour, groups that open first are first."""
    left_counts = {index: group.count for index, group in enumerate(groups) if group.count}
    times = cache(partial(OpenTimes, since=start))  # groups share hours
    schedules = [[times(hours).next_open for hours in group.hours] for group in groups]
    opens = {index: first_common(schedules[index], start) for index in left_counts}
    deferred = sum(left_counts[index] for index, at in opens.items() if at is None or at > start)
    by_hour, at_night = list[tuple[datetime, int]](), 0
    next_free: datetime = start
    while left_counts and len(by_hour) < MAX_HOURS:
        opens = {index: first_common(schedules[index], next_free) for index in left_counts}
        openings = {index: at for index, at in opens.items() if at is not None}
        if not openings:
            break
        next_free = min(openings.values())
        ends = next_free.replace(minute=0, second=0, microsecond=0) + HOUR
        begins, texted = ends - HOUR, 0
        for index, at in sorted(openings.items(), key=lambda item: (item[1], item[0])):
            if at >= ends or next_free >= ends:
                continue
            next_free = max(next_free, at)
            count = min(left_counts[index], max(1, int((ends - next_free).total_seconds() * per_second)))
            at_night += 0 if all(is_open(hours, next_free) for hours in groups[index].day) else count
            next_free += timedelta(seconds=count / per_second)
            texted += count
            left_counts[index] -= count
        left_counts = {index: count for index, count in left_counts.items() if count}
        by_hour.append((begins, texted))
    return Course(deferred, tuple(by_hour), None if left_counts else next_free, at_night)
