"""The tools with which agents book, on calls, in texts and for events.

Only what was offered can be held, and only what is held can be booked: the model writes keys, and no time, no date's arithmetic
and no id.  On a call a tool acts at once.  In texts and for events it acts when the turn or run ends, together with the reply, so
that a reply that is dropped has booked nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from control.bookings import appointing, callers, desk, reserving, toolschemas, wishes
from control.bookings.reserving import Move, WantedTime
from control.bookings.searching import TimeSearch
from control.bookings.toolschemas import BOOK, CANCEL, DESCRIPTIONS, FIND, HOLD, LIST, MOVE, VERIFY
from control.tools import AgentTool, AtEnd, Bookable, Result, Run, ToolChannel, ToolContext, ToolPolicy, failed
from hum.clock import now
from hum.contract.errors import HoldExpired, NotFound, TimeTaken
from storage import appointments, booking_dialogues, booking_services
from storage.appointments import AppointmentPerson, AppointmentRow
from storage.booking_dialogues import DialogueRow
from storage.db import Db, Tx

CALLS_AND_TEXTS = frozenset({ToolChannel.CALL, ToolChannel.TEXT})
ALL = CALLS_AND_TEXTS | {ToolChannel.EVENT}
MOST_TOLD = 20
#: Attempts to show who one is in a dialogue, and of a number in a day.
TRIES, TRIES_OF_NUMBER = 3, 5
#: Dialogues of a number in a day that may hold times and book none.
UNBOOKED_DIALOGUES = 3

NOT_OFFERED = "This time was not offered. Offer times with find_times, and hold one of them."
NO_DAY = "There is no such day. Ask for the date, and write it like 2026-03-09."
NO_NAME = "Ask whom it is for first."
TAKEN = "Somebody else has just taken it. Offer other times."
NOTHING_HELD = "No time is held. Find times, and hold the one that they choose."
EXPIRED = "The time was held too long, and is free for others again. Hold it again."
HAS_ONE = "They have an appointment for this already. Ask whether they want another one, or to move it."
OTHER_SERVICE = "The time that is held is of another service. Find times of the appointment's service."
UNKNOWN = "There is no such appointment. Use my_appointments first."
TOO_LATE = "It is too late for this. Say so, and let a person of the business help."
WHO = "They must show who they are first: ask for their full name and date of birth, and use verify_caller."
NOT_MATCHING = "This does not match. Do not say what is wrong, and tell nothing that is on record."
NO_MORE_TRIES = "They have tried too often. Let a person of the business help."
A_PERSON = "Times were held for this number and not booked too often today. Let a person of the business help."
AFTER_ANSWER = "The time before is booked with your answer. Answer first, and go on after their next text."


class BookingTools:
    """The tools, each of them bound to the services of its agent's flow."""

    def __init__(self, db: Db, times: TimeSearch, timeout_ms: int) -> None:
        self._db, self._times, self._timeout_ms = db, times, timeout_ms

    def all(self) -> list[AgentTool]:
        return [
            self._tool(FIND, self._find, ALL, ToolPolicy.READS),
            self._tool(HOLD, self._hold, ALL),
            self._tool(BOOK, self._book, ALL),
            self._tool(LIST, self._list, CALLS_AND_TEXTS),
            self._tool(MOVE, self._move, CALLS_AND_TEXTS),
            self._tool(CANCEL, self._cancel, CALLS_AND_TEXTS),
            self._tool(VERIFY, self._verify, CALLS_AND_TEXTS),
        ]

    def _tool(
        self, name: str, run: Run, channels: frozenset[ToolChannel], policy: ToolPolicy = ToolPolicy.ALLOWED
    ) -> AgentTool:
        schema = toolschemas.parameters(name)
        return AgentTool(name, DESCRIPTIONS[name], schema, run, channels, self._timeout_ms, policy)

    # --- times --------------------------------------------------------------------------------------------------------

    async def _find(self, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        service = toolschemas.offered(context.situation)[arguments["service"]]
        if not wishes.is_day(arguments.get("day")):
            return _refused(NO_DAY)
        person = service.people.get(arguments.get("with", ""))
        async with self._db.tenant(context.organization) as tx:
            offer = await desk.search(tx, self._times, context, arguments, service.id, [person] if person else [])
        if not offer.times:
            return Result({"status": "never", "note": "There is no free time at all. Say so; guess none."})
        return Result({"status": "found" if offer.is_exact else "others"} | desk.told(context, offer))

    async def _hold(self, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        if context.turn and {BOOK, MOVE}.intersection(context.turn.done):
            return failed(AFTER_ANSWER)
        org, number = context.organization, context.situation.contact_e164
        async with self._db.tenant(org) as tx:
            dialogue = await desk.opened(tx, context)
            offered = desk.offered_time(dialogue, arguments["time"])
            if offered is None:
                return Result({"status": "refused", "note": NOT_OFFERED}, ok=False)
            if number and await appointments.unbooked_dialogues(tx, number, dialogue.holder) >= UNBOOKED_DIALOGUES:
                return Result({"status": "refused", "note": A_PERSON}, ok=False)
            wanted = WantedTime(offered.service_id, offered.start, offered.resources)
            try:
                row = await reserving.hold(tx, org, wanted, desk.holding(context))
            except TimeTaken:
                row = None
        if row is not None:
            return Result(desk.of_appointment(context, row, "held"))
        async with self._db.tenant(org) as tx:
            wish = {"day": offered.start.date().isoformat()}
            others = await desk.search(tx, self._times, context, wish, offered.service_id, offered.resources)
        return Result({"status": "taken", "note": TAKEN} | desk.told(context, others))

    # --- appointments -------------------------------------------------------------------------------------------------

    async def _book(self, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        number = context.situation.contact_e164 or None
        person = AppointmentPerson(arguments["name"].strip(), arguments.get("note", "").strip() or None, number)
        if not person.name:
            return _refused(NO_NAME)
        async with self._db.tenant(context.organization) as tx:
            dialogue = await desk.opened(tx, context)
            row = await appointments.latest_of_holder(tx, dialogue.holder)
            refusal = _not_held(row)
            if row is None or refusal is not None:
                return refusal or _refused(NOTHING_HELD)
            if row.state != "held":  # asked again, as after an answer that was lost
                return Result(desk.of_appointment(context, row, row.state))
            if not arguments.get("another") and await self._has_one(tx, context, dialogue, row):
                return _refused(HAS_ONE)
            service = (await booking_services.get(tx, row.service_id)).fields
            status = "pending" if service.needs_approval else "booked"

            async def book(tx: Tx) -> None:
                await appointing.book(tx, desk.principal(context), row.id, person)

            try:
                return await _carried_out(tx, context, book, row, status)
            except HoldExpired:
                return Result({"status": "expired", "note": EXPIRED}, ok=False)

    async def _has_one(self, tx: Tx, context: ToolContext, dialogue: DialogueRow, row: AppointmentRow) -> bool:
        """Tell whether they have an appointment of this service; without a number that is vouched for, one of this dialogue."""
        client = await desk.client_of(tx, context, dialogue)
        services = [row.service_id]
        return bool(await appointments.of_person(tx, client.number, client.contact, dialogue.holder, services, 1))

    async def _list(self, context: ToolContext, _: Mapping[str, Any]) -> Result:
        async with self._db.tenant(context.organization) as tx:
            dialogue = await desk.opened(tx, context)
            client = await desk.client_of(tx, context, dialogue)
            services = toolschemas.service_ids(context.situation)
            rows = await appointments.of_person(tx, client.number, client.contact, dialogue.holder, services, MOST_TOLD)
            if not rows and client.level == 0:
                return Result({"status": "verify", "note": WHO})
            keys = await _known(tx, dialogue, rows)
            shown = [await _told(tx, context, client, key, row) for key, row in zip(keys, rows, strict=True)]
        return Result({"status": "found" if shown else "none", "appointments": shown})

    async def _move(self, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        async with self._db.tenant(context.organization) as tx:
            dialogue = await desk.opened(tx, context)
            row = await _appointment(tx, dialogue, arguments["appointment"])
            held = await appointments.latest_of_holder(tx, dialogue.holder)
            if row is None:
                return _refused(UNKNOWN)
            if held and held.state == "released" and held.starts_at == row.starts_at and row.version > 1:
                return Result(desk.of_appointment(context, row, "moved"))  # asked again
            if (refusal := await self._may_not(tx, context, dialogue, row)) is not None:
                return refusal
            if held is None or held.state != "held":
                return _not_held(held) or _refused(NOTHING_HELD)
            if held.service_id != row.service_id:
                return _refused(OTHER_SERVICE)
            change = Move(held.starts_at, held.resources, row.version, dialogue.holder)

            async def move(tx: Tx) -> None:
                await appointing.move(tx, desk.principal(context), row.id, change)

            try:
                return await _carried_out(tx, context, move, held, "moved")
            except TimeTaken:
                return Result({"status": "taken", "note": TAKEN}, ok=False)

    async def _cancel(self, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        async with self._db.tenant(context.organization) as tx:
            dialogue = await desk.opened(tx, context)
            row = await _appointment(tx, dialogue, arguments["appointment"])
            if row is None:
                return _refused(UNKNOWN)
            if row.state == "canceled":
                return Result(desk.of_appointment(context, row, "canceled"))
            if (refusal := await self._may_not(tx, context, dialogue, row)) is not None:
                return refusal

            async def cancel(tx: Tx) -> None:
                await appointing.cancel(tx, desk.principal(context), row.id, row.version)

            return await _carried_out(tx, context, cancel, row, "canceled")

    async def _may_not(self, tx: Tx, context: ToolContext, dialogue: DialogueRow, row: AppointmentRow) -> Result | None:
        """Return why they may not move or cancel an appointment; None if they may."""
        service = (await booking_services.get(tx, row.service_id)).fields
        if not (await desk.client_of(tx, context, dialogue)).may_change(row, service):
            return Result({"status": "verify", "note": WHO}, ok=False)
        return _refused(TOO_LATE) if callers.is_too_late(row, service, now()) else None

    # --- who is calling -----------------------------------------------------------------------------------------------

    async def _verify(self, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        number = context.situation.contact_e164 or None
        vouched = number if context.situation.is_vouched_for else None
        async with self._db.tenant(context.organization) as tx:
            dialogue = await desk.opened(tx, context)
            of_number = await booking_dialogues.failures_of_number(tx, number) if number else 0
            if dialogue.failures >= TRIES or of_number >= TRIES_OF_NUMBER:
                return Result({"status": "refused", "note": NO_MORE_TRIES}, ok=False)
            candidates = await booking_dialogues.candidates(tx, vouched, arguments["name"].strip())
            contact = callers.match(candidates, arguments["name"], arguments["birth_date"])
            if contact is None:
                await booking_dialogues.fail(tx, dialogue.holder)
                return Result({"status": "refused", "note": NOT_MATCHING}, ok=False)
            await booking_dialogues.verify(tx, dialogue.holder, contact)
        return Result({"status": "verified"})


def _refused(note: str) -> Result:
    return Result({"status": "refused", "note": note}, ok=False)


def _not_held(row: AppointmentRow | None) -> Result | None:
    """Return why there is nothing to book; None if there is, or was."""
    if row is None or row.state in {"released", "canceled", "refused"}:
        return _refused(NOTHING_HELD)
    is_over = row.state == "held" and row.lease_until is not None and row.lease_until <= now()
    return Result({"status": "expired", "note": EXPIRED}, ok=False) if row.state == "expired" or is_over else None


async def _carried_out(tx: Tx, context: ToolContext, act: AtEnd, row: AppointmentRow, status: str) -> Result:
    """Act at once on a call; else with the end of the turn or run, until which the hold is kept."""
    result = desk.of_appointment(context, row, status)
    if context.call_id is not None:
        await act(tx)
        return Result(result)
    if row.state == "held":
        await reserving.renew(tx, row.id, desk.TEXT_LEASE)
    return Result(result, at_end=act)


async def _known(tx: Tx, dialogue: DialogueRow, rows: Sequence[AppointmentRow]) -> list[str]:
    """Return the keys of appointments that the other side is told of."""
    known = list(dialogue.appointments)
    known += [row.id for row in rows if row.id not in known]
    if len(known) > len(dialogue.appointments):
        await booking_dialogues.save_appointments(tx, dialogue.holder, known)
    return [f"a{known.index(row.id) + 1}" for row in rows]


async def _told(
    tx: Tx, context: ToolContext, client: callers.BookingClient, key: str, row: AppointmentRow
) -> dict[str, Any]:
    """Return an appointment as this client may hear it."""
    service = (await booking_services.get(tx, row.service_id)).fields
    shown = {"appointment": key, "say": desk.say(context, row.starts_at, row.time_zone)}
    if row.state == "pending":
        shown["state"] = "pending"
    if client.may_hear_service(row, service):
        shown["service"] = service.name
    return shown | ({"name": row.name} if client.owns(row) and row.name else {})


async def _appointment(tx: Tx, dialogue: DialogueRow, key: str) -> AppointmentRow | None:
    """Return the appointment that was told with this key."""
    place = desk.place_of(key, "a")
    if not 1 <= place <= len(dialogue.appointments):
        return None
    try:
        return await appointments.get(tx, dialogue.appointments[place - 1])
    except NotFound:
        return None


async def catalog(tx: Tx, organization: UUID) -> list[Bookable]:
    """Return the services of an organization that can be booked."""
    return [Bookable(row.id, row.name, row.people) for row in await booking_services.bookable(tx, organization)]
