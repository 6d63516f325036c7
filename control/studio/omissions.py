"""What a description mentions and a proposed flow lacks, and the hours that a flow's instructions say besides.  Pure.

Hours and closed days must be in the flow's business hours, a number that calls are transferred to in its transfers.  Other days,
numbers and amounts may also be in its texts.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from control.base import phone
from control.studio import hourmentions, mentions
from control.studio.hourmentions import ClosedDays, Interval
from control.studio.mentions import Amount, Days, Mention, PhoneNumber, SpokenLanguage
from hum.v1 import flows_pb2
from hum.v1 import studio_pb2 as pb

MOST_OMISSIONS, MOST_TEXT_CHARS = 30, 120
#: That of a flow without one.
DEFAULT_LANGUAGE = "en"
#: What an agent reads or says.
TEXTS = ("greeting", "system_prompt", "after_hours_message", "goodbye_message")


@dataclass(frozen=True, slots=True)
class Agent:
    """What the agent of a flow has: its week, closed days, numbers to transfer to, and the mentions and numbers of its texts."""

    weekly: Mapping[str, Sequence[Sequence[str]]]
    holidays: frozenset[date]
    transfers: frozenset[str]
    mentioned: Sequence[Mention]
    numbers: frozenset[str]
    #: What hours of a day may be: its spans, the breaks between two, and all of it where a description says the breaks.
    spans: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    language: str = ""


def omissions(
    description: str, flow: flows_pb2.Flow, organization_hours_json: str | None, today: date
) -> list[pb.ProposalOmission]:
    """Return what the description mentions and a valid flow lacks, in the description's order.

    Without hours of its own it has the organization's.
    """
    agent = _agent(flow, flow.business_hours_json or organization_hours_json or "{}", today)
    listed = dict[tuple[int, str], None]()
    read = mentions.read(description, today)
    agent = replace(agent, spans=_spans(agent.weekly, read))
    for mention in read:
        kind, has = _has(mention, agent)
        if not has:
            listed[kind, mention.text[:MOST_TEXT_CHARS]] = None
    return [pb.ProposalOmission(kind=kind, text=text) for kind, text in list(listed)[:MOST_OMISSIONS]]  # type: ignore[arg-type]  # one of them


def hours_mentions(system_prompt: str, hours_json: str | None, today: date) -> list[pb.HoursMention]:
    """Return the opening hours and closed days that instructions say besides the hours in force; none where there are no such hours."""
    if not hours_json:
        return []
    agent = _agent(flows_pb2.Flow(), hours_json, today)
    read = [mention for mention in mentions.read(system_prompt, today) if _is_of_hours(mention)]
    agent = replace(agent, spans=_spans(agent.weekly, read))
    listed = dict[str, bool]()
    for mention in read:
        text = mention.text[:MOST_TEXT_CHARS]
        listed[text] = listed.get(text, True) and _has(mention, agent)[1]
    return [pb.HoursMention(text=text, is_same=same) for text, same in list(listed.items())[:MOST_OMISSIONS]]


def _is_of_hours(mention: Mention) -> bool:
    match mention:
        case Interval():
            return mention.is_opening
        case Days():
            return mention.is_closed
        case _:
            return isinstance(mention, ClosedDays)


def _agent(flow: flows_pb2.Flow, hours_json: str, today: date) -> Agent:
    hours = json.loads(hours_json)
    text = "\n".join(getattr(flow, name) for name in TEXTS)
    return Agent(
        weekly=hours.get("weekly", {}),
        holidays=frozenset(date.fromisoformat(day) for day in hours.get("holidays", ())),
        transfers=frozenset(_targets(json.loads(flow.transfer_map_json or "{}"))),
        mentioned=mentions.read(text, today),
        numbers=frozenset(mentions.numbers(text)),
        language=(flow.language or DEFAULT_LANGUAGE).partition("-")[0].lower(),
    )


def _targets(transfers: Mapping[str, Any]) -> Iterator[str]:
    for target in transfers.values():
        yield target if isinstance(target, str) else str(target.get("to"))


def _has(mention: Mention, agent: Agent) -> tuple[int, bool]:
    """Return the kind of a mention, and whether the agent has it."""
    match mention:
        case Interval():
            has = _has_hours(mention, agent) or (not mention.is_opening and _is_said(mention, agent))
            return pb.OMISSION_KIND_HOURS, has
        case ClosedDays():
            return pb.OMISSION_KIND_CLOSED_WEEKDAY, bool(agent.weekly) and not any(map(agent.weekly.get, mention.days))
        case Days():
            has = all(_is_holiday(day, mention, agent) for day in mention.dates)
            return pb.OMISSION_KIND_DAY, has or (not mention.is_closed and _is_said(mention, agent))
        case PhoneNumber():
            forms = [phone.written_forms(e164) for e164 in agent.transfers]
            has = any(mention.number in form for form in forms)
            has = has or (not mention.is_transfer and mentions.is_among(mention.number, set(agent.numbers)))
            return pb.OMISSION_KIND_PHONE_NUMBER, has
        case Amount():
            return pb.OMISSION_KIND_AMOUNT, _is_said(mention, agent)
        case SpokenLanguage():  # that a text says so does not make the agent speak it
            return pb.OMISSION_KIND_LANGUAGE, mention.code == agent.language


def _has_hours(interval: Interval, agent: Agent) -> bool:
    """Return whether hours are a span, or a break between two, on each of their days, or on any if they name none."""
    on = [not interval.spans.isdisjoint(agent.spans.get(day, ())) for day in interval.days or hourmentions.ALL_DAYS]
    return all(on) if interval.days else any(on)


def _spans(
    weekly: Mapping[str, Sequence[Sequence[str]]], read: Sequence[Mention]
) -> dict[str, frozenset[tuple[str, str]]]:
    """Return what hours of each day may be.

    Spans are one where a description says the breaks between them: "8 to 5 with a lunch break from 12 to 1".
    """
    described = {span for mention in read if isinstance(mention, Interval) for span in mention.spans}
    week = dict[str, frozenset[tuple[str, str]]]()
    for day, spans in weekly.items():
        gaps = hourmentions.gaps(spans)
        unbroken = {(spans[0][0], spans[-1][1])} if gaps and described.issuperset(gaps) else set()
        week[day] = frozenset({*((opens, closes) for opens, closes in spans), *gaps, *unbroken})
    return week


def _is_holiday(day: date, mention: Days, agent: Agent) -> bool:
    if mention.has_year:
        return day in agent.holidays
    return any((other.month, other.day) == (day.month, day.day) for other in agent.holidays)


def _is_said(mention: Interval | Days | Amount, agent: Agent) -> bool:
    """Return whether the agent's texts mention the same."""
    for other in agent.mentioned:
        match mention, other:
            case Interval(), Interval():
                same = bool(mention.opens & other.opens and mention.closes & other.closes)
            case Days(), Days():
                same = set(mention.dates) <= set(other.dates)
            case Amount(), Amount():
                same = mention.value == other.value
            case _:
                same = False
        if same:
            return True
    return False
