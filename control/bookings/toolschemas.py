"""What agents are told of the tools that book: their names, descriptions and arguments.  Pure."""

from collections.abc import Callable
from uuid import UUID

from control.bookings.wishes import DAY_PATTERN, PARTS
from control.tools import Bookable, Schema, Situation, ToolUnavailable
from hum import ids
from hum.ids import Kind

FIND, HOLD, BOOK = "find_times", "hold_time", "book_time"
LIST, MOVE, CANCEL, VERIFY = "my_appointments", "move_appointment", "cancel_appointment", "verify_caller"
NO_SERVICE = ToolUnavailable("the agent's `booking_service_ids` name no service that can be booked")

DESCRIPTIONS = {
    FIND: "Find free times of a service. Say the times as `say` has them, never others, and compute none. If they want another day, or "
    "none of these, call it again, with `more` for other times of the same wish.",
    HOLD: "Hold one of the times that find_times has offered, for two minutes, as soon as they choose it. Then ask for their name, if "
    "you don't know it, and book it.",
    BOOK: "Book the time that is held. Say that it is booked only if `status` is booked; pending means that a person has to agree to it "
    "first. Then repeat the time as `say` has it.",
    LIST: "Tell which appointments they have. Say no more than what comes back.",
    MOVE: "Move one of their appointments to the time that is held: first my_appointments, then find_times and hold_time, then this. Say "
    "that it is moved only if `status` is moved.",
    CANCEL: "Cancel one of their appointments, once they have confirmed that they want this. Say that it is canceled only if `status` is "
    "canceled.",
    VERIFY: "Have it compared who they are, when a result has the status verify. Ask for their full name and their date of birth first. "
    "Never tell what is on record.",
}


def offered(situation: Situation) -> dict[str, Bookable]:
    """Return the services that the agent may book, by name."""
    wanted = {ids.parse(Kind.BOOKABLE_SERVICE, text) for text in situation.definition.get("booking_service_ids", ())}
    found = dict[str, Bookable]()
    for each in situation.own_tools.bookable:
        if each.id in wanted:
            found.setdefault(each.name, each)
    return found


def service_ids(situation: Situation) -> list[UUID]:
    """Return the services that the agent may book; also inactive ones, which may have appointments."""
    parsed = (ids.parse(Kind.BOOKABLE_SERVICE, text) for text in situation.definition.get("booking_service_ids", ()))
    return [id for id in parsed if id is not None]


def parameters(tool: str) -> Callable[[Situation], Schema | ToolUnavailable]:
    """Return the schema of a tool's arguments as a function of the situation."""

    def of(situation: Situation) -> Schema | ToolUnavailable:
        services = offered(situation)
        if not services:
            return NO_SERVICE
        return _find(services) if tool == FIND else _SCHEMAS[tool]

    return of


def _object(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _find(services: dict[str, Bookable]) -> Schema:
    people = list(dict.fromkeys(person for each in services.values() for person in each.people))
    wish: dict[str, Schema] = {"with": {"type": "string", "enum": people}} if len(people) > 1 else {}
    day = "Only if they wish for a day. For next Friday and the like, ask for the date."
    return _object(
        ("service",),
        service={"type": "string", "enum": list(services)},
        day={"type": "string", "pattern": DAY_PATTERN, "description": day},
        part={"type": "string", "enum": list(PARTS)},
        more={"type": "boolean"},
        **wish,
    )


_APPOINTMENT: Schema = {
    "type": "string",
    "pattern": r"^a\d{1,2}$",
    "description": "As my_appointments has it.",
}
_SCHEMAS = {
    HOLD: _object(
        ("time",), time={"type": "string", "pattern": r"^t\d{1,3}$", "description": "As find_times has offered it."}
    ),
    BOOK: _object(
        ("name",),
        name={"type": "string", "minLength": 2, "maxLength": 80, "pattern": "\\S", "description": "Whom it is for."},
        note={"type": "string", "maxLength": 200, "description": "What the business has to know, if they said so."},
        another={"type": "boolean", "description": "They know of their other appointment, and want this one too."},
    ),
    LIST: _object(),
    MOVE: _object(("appointment",), appointment=_APPOINTMENT),
    CANCEL: _object(("appointment", "confirmed"), appointment=_APPOINTMENT, confirmed={"const": True}),
    VERIFY: _object(
        ("name", "birth_date"),
        name={"type": "string", "minLength": 2, "maxLength": 80},
        birth_date={"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
    ),
}
