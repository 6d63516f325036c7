"""What a launch would do: counted by the database; of texts that differ, a bounded number is computed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from control.base.hours import Hours, first_open
from control.campaigns import choosing
from control.campaigns.choosing import Text
from control.texts import hours, segments, templates
from control.texts.paces import Paces
from storage import campaigns, forecasts
from storage.campaigns import CampaignRow, SenderRow
from storage.db import Tx
from storage.forecasts import Area, CountsRow, LeftOut
from storage.recipients import DueRow

#: Texts that are computed one by one, and how many of them before others get their turn.
MOST_TEXTS, AT_ONCE = 2000, 100
#: Area codes, in all the world, that are by_hour apart.
MOST_AREAS = 1000
MOST_HOURS = 400
#: Texts that are shown, of so many that are looked at for some that can be sent.
SAMPLES, LOOKED_AT = 5, 50
HOUR = timedelta(hours=1)
#: Variables that are the same for everybody.
SHARED = frozenset({"org.name", "number.phone"})


@dataclass(frozen=True, slots=True)
class Course:
    """When texts would leave."""

    deferred: int
    #: By the hour's beginning.
    hours: tuple[tuple[datetime, int], ...]
    #: None: not within the time that is looked at.
    finishes_at: datetime | None


@dataclass(frozen=True, slots=True)
class Sample:
    contact_e164: str
    body: str
    segments: int


@dataclass(frozen=True, slots=True)
class Texts:
    """What the texts cost, as far as they were computed."""

    segments: int
    estimated: bool
    unsendable: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    recipients: int
    texts: Texts
    opted_out: int
    blocked: int
    invalid: int
    unreachable: int
    landlines: int
    course: Course


async def forecast(tx: Tx, row: CampaignRow, paces: Paces, countries: frozenset[str], at: datetime) -> Forecast:
    """What a launch at this time would do, as things are now.  `countries`: that may be texted besides the number's own."""
    sender = await campaigns.sender(tx, row.id)
    areas = await forecasts.areas(tx, row.id, MOST_AREAS, LeftOut())
    left_out = choosing.left_out(row, [area.example for area in areas], countries)
    if left_out != LeftOut():
        areas = await forecasts.areas(tx, row.id, MOST_AREAS, left_out)
    known = await forecasts.counts(tx, row.id, left_out)
    texts = await _texts(tx, row, sender, known, left_out)
    each = max(1.0, texts.segments / known.texted) if known.texted else 1.0
    per_second = paces.of(row.number_e164, sender.account) / each
    if row.throttle_per_minute is not None:
        per_second = min(per_second, row.throttle_per_minute / 60)
    course = plan(_groups(row, sender, areas), max(at, row.scheduled_start_at or at), per_second)
    if row.expires_at and course.finishes_at and course.finishes_at >= row.expires_at:
        course = replace(course, finishes_at=None)
    return Forecast(
        recipients=known.texted,
        texts=texts,
        opted_out=known.opted_out,
        blocked=known.blocked,
        invalid=known.invalid,
        unreachable=known.unreachable,
        landlines=known.landlines,
        course=course,
    )


async def _texts(tx: Tx, row: CampaignRow, sender: SenderRow, known: CountsRow, left_out: LeftOut) -> Texts:
    """Exact where all texts are alike, or few differ; else what the first of them would cost, for all."""
    template = choosing.parsed(row.body_template)
    alike = SHARED.issuperset(template.names)
    first = await forecasts.texts(tx, row.id, LOOKED_AT, left_out, own_only=False)
    samples = [each for each in (_sample(row, sender, due) for due in first) if each is not None][:SAMPLES]
    differing = await forecasts.texts(tx, row.id, MOST_TEXTS, left_out, own_only=alike)
    cost, unsendable = 0, 0
    for index, due in enumerate(differing):
        decision = choosing.text(row, sender, due)
        cost += choosing.segments_of(decision)
        unsendable += not isinstance(decision, Text)
        if index % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
    differ = known.texted - known.templated if alike else known.texted
    estimated = differ > len(differing)
    if estimated:
        cost = round(cost * differ / len(differing))
        unsendable = round(unsendable * differ / len(differing))
    if alike and known.templated:
        shared = templates.render(template, {"org.name": sender.org_name, "number.phone": row.number_e164})
        cost += known.templated * segments.count(shared.text)
    return Texts(cost, estimated, unsendable, tuple(samples))


def _sample(row: CampaignRow, sender: SenderRow, due: DueRow) -> Sample | None:
    decision = choosing.text(row, sender, due)
    if not isinstance(decision, Text):
        return None
    return Sample(due.contact_e164, decision.body, segments.count(decision.body))


# --- when -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Group:
    """Recipients who may be texted at the same times."""

    count: int
    kept: tuple[Hours, ...]


def _groups(row: CampaignRow, sender: SenderRow, areas: Sequence[Area]) -> list[Group]:
    """The areas, those together that keep the same hours."""
    found = dict[tuple[object, ...], Group]()
    for area in areas:
        rules = choosing.texting(sender, area.example, opted_out=False)
        kept = tuple(each.hours for each in hours.kept(rules)) if row.honor_quiet_hours else ()
        key = tuple(each.zone.key for each in kept)
        before = found.get(key, Group(0, kept))
        found[key] = Group(before.count + area.count, kept)
    return list(found.values())


def plan(groups: Sequence[Group], start: datetime, per_second: float) -> Course:
    """Text the groups at this pace from then on, each in its hours; hour by hour, whoever may be texted first."""
    left = {index: group.count for index, group in enumerate(groups) if group.count}
    opens = {index: first_open(groups[index].kept, start) for index in left}
    deferred = sum(left[index] for index, at in opens.items() if at is None or at > start)
    by_hour = list[tuple[datetime, int]]()
    free: datetime = start
    while left and len(by_hour) < MOST_HOURS:
        opens = {index: first_open(groups[index].kept, free) for index in left}
        known = {index: at for index, at in opens.items() if at is not None}
        if not known:
            break
        free = min(known.values())
        ends = free.replace(minute=0, second=0, microsecond=0) + HOUR
        begins, texted = ends - HOUR, 0
        for index, at in sorted(known.items(), key=lambda each: (each[1], each[0])):
            if at >= ends or free >= ends:
                continue
            free = max(free, at)
            count = min(left[index], max(1, int((ends - free).total_seconds() * per_second)))
            free += timedelta(seconds=count / per_second)
            texted += count
            left[index] -= count
        left = {index: count for index, count in left.items() if count}
        by_hour.append((begins, texted))
    return Course(deferred, tuple(by_hour), None if left else free)
