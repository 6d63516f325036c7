"""The agent's desk in one dialogue: what was offered there, who is talking, and what is said of times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from control.base import phone
from control.bookings import callers, reserving, saying, timetable, wishes
from control.bookings.callers import BookingClient
from control.bookings.searching import FreeTimes, TimeSearch, TimesWanted
from control.tools import ToolContext
from hum import ids
from hum.clock import now
from hum.contract.principal import Principal
from hum.ids import Kind
from storage import booking_dialogues, contacts
from storage.appointments import AppointmentRow, Holding
from storage.booking_dialogues import DialogueRow, OfferedTime
from storage.db import Tx

#: Leases of holds: of a call, renewed while it lives; and of what is answered by texts.
LONGEST, TEXT_LEASE = timedelta(minutes=10), timedelta(minutes=15)
#: Starts that a search considers: two weeks in steps of five minutes.
MOST_STARTS = 4100
MOST_OFFERED = 900


@dataclass(frozen=True, slots=True)
class TimesOffer:
    """What a search found: times with their keys, whether they fit the wish, and whether there is any at all."""

    times: Sequence[tuple[str, datetime]]
    zone: str
    is_exact: bool


def holder_of(context: ToolContext) -> str | None:
    """Return the holder of what an agent holds here; None in a trial."""
    if context.call_id is not None:
        return f"call:{context.call_id}"
    if context.event_run is not None:
        return f"run:{context.event_run}"
    turn = context.turn
    return f"conversation:{turn.conversation}" if turn else None


def acting(context: ToolContext) -> str:
    """Return the name of the dialogue in the history of appointments: its id."""
    if context.call_id is not None:
        return ids.show(Kind.CALL, context.call_id)
    if context.turn is not None:
        return ids.show(Kind.CONVERSATION, context.turn.conversation)
    assert context.event_run is not None, "trials change nothing"
    return ids.show(Kind.RUN, context.event_run)


def principal(context: ToolContext) -> Principal:
    """Return who books."""
    return Principal(context.organization, None, (), None, None, None, acting(context))


def holding(context: ToolContext) -> Holding:
    """Return where a hold of this dialogue comes from."""
    is_call = context.call_id is not None
    return Holding(
        origin="call" if is_call else "conversation" if context.turn else "event",
        holder=holder_of(context),
        call_id=context.call_id,
        conversation_id=context.turn.conversation if context.turn else None,
        contact_e164=context.situation.contact_e164 or None,
        lease=reserving.CALL_LEASE if is_call else TEXT_LEASE,
        longest=LONGEST if is_call else TEXT_LEASE,
    )


async def opened(tx: Tx, context: ToolContext) -> DialogueRow:
    """Return the dialogue, locked."""
    holder = holder_of(context)
    assert holder is not None, "trials change nothing"
    conversation = context.turn.conversation if context.turn else None
    number = context.situation.contact_e164 or None
    return await booking_dialogues.open_dialogue(tx, holder, context.call_id, conversation, number)


async def client_of(tx: Tx, context: ToolContext, dialogue: DialogueRow) -> BookingClient:
    """Return who is talking."""
    situation = context.situation
    number = situation.contact_e164 if situation.is_vouched_for else ""
    client = BookingClient(dialogue.holder, number or None)
    contact = callers.proven(dialogue, now())
    if contact is None:
        return client
    return replace(client, contact=contact, name=(await contacts.get(tx, contact)).name)


async def search(
    tx: Tx, times: TimeSearch, context: ToolContext, wish: Mapping[str, Any], service: UUID, people: Sequence[UUID]
) -> TimesOffer:
    """Find times for a wish, and note them as offered.  Raises NotFound."""
    table = await timetable.load(tx, context.organization, service, people)
    at = now()
    window = wishes.window(wish.get("day"), table.zone, at, table.times.first(at), table.times.last(at))
    wanted = TimesWanted(service, window.since, window.until, people, MOST_STARTS)
    found = await times.find(tx, context.organization, wanted)
    dialogue = await opened(tx, context) if holder_of(context) else None
    before = {each.start for each in dialogue.times if each.service_id == service} if dialogue else set()
    fitting = wishes.of_part(found.times, table.zone, wish.get("part", "any"))
    fresh = _fresh(fitting, before if wish.get("more") else set(), None if "day" in wish else table.zone)
    is_exact = window.is_exact and bool(fresh)
    starts = fresh or wishes.told(found.times, before) or _next(found)
    keys = await _noted(tx, dialogue, [OfferedTime(service, start, tuple(people)) for start in starts])
    return TimesOffer(list(zip(keys, starts, strict=True)), table.zone.key, is_exact)


def _fresh(starts: Sequence[datetime], before: set[datetime], zone: ZoneInfo | None) -> list[datetime]:
    """Return the starts to offer that were not offered before; the soonest of the zone's days, if one is given."""
    left = [start for start in starts if start not in before]
    return wishes.told(wishes.soonest(left, zone) if zone else left, ())


def _next(found: FreeTimes) -> list[datetime]:
    return [found.next] if found.next and not found.times else []


async def _noted(tx: Tx, dialogue: DialogueRow | None, times: Sequence[OfferedTime]) -> list[str]:
    """Return the keys of times, new ones for those that were not offered before."""
    offered = list(dialogue.times) if dialogue else []
    keys = list[str]()
    for each in times:
        if each not in offered and len(offered) < MOST_OFFERED:
            offered.append(each)
        keys.append(f"t{offered.index(each) + 1}")
    if dialogue and len(offered) > len(dialogue.times):
        await booking_dialogues.save_times(tx, dialogue.holder, offered)
    return keys


def offered_time(dialogue: DialogueRow, key: str) -> OfferedTime | None:
    """Return the time that was offered with this key."""
    place = place_of(key, "t")
    return dialogue.times[place - 1] if 1 <= place <= len(dialogue.times) else None


def place_of(key: str, letter: str) -> int:
    """Return the place that a key stands for; 0 for what is no key: patterns of schemas are not checked before a tool runs."""
    digits = key.removeprefix(letter)
    return int(digits) if key.startswith(letter) and digits.isascii() and digits.isdigit() and len(digits) < 4 else 0


def say(context: ToolContext, start: datetime, zone: str) -> str:
    """Return the sentence of a time, in the language of the agent's flow."""
    situation = context.situation
    listener = phone.time_zones(situation.contact_e164) if situation.contact_e164 else ()
    return saying.when(start, ZoneInfo(zone), now(), situation.definition.get("language"), listener)


def told(context: ToolContext, offer: TimesOffer) -> dict[str, Any]:
    """Return an offer as an agent gets it."""
    times = [{"time": key, "say": say(context, start, offer.zone)} for key, start in offer.times]
    language = context.situation.definition.get("language")
    return {"times": times, "say": saying.choice([each["say"] for each in times], language)}


def of_appointment(context: ToolContext, row: AppointmentRow, status: str) -> dict[str, Any]:
    """Return what became of a hold or an appointment as an agent gets it."""
    return {"status": status, "say": say(context, row.starts_at, row.time_zone)}
