"""Which operations of the API the console uses, and why it does not use the others.

The journeys (`console/e2e/whole`) tell which of the changes among them were made by a page.
"""

import re
from functools import cache
from pathlib import Path

import pytest

from gateway import contract, openapi

ROOT = Path(__file__).resolve().parents[2]
CONSOLE = ROOT / "console" / "src"

#: The book has no page yet.
BOOK = (
    "approveAppointment bookAppointment cancelAppointment createBookableService createBookingResource createTimeOff "
    "createWait deleteBookableService deleteBookingResource deleteTimeOff deleteWait findTimes "
    "getAppointment getBookableService getBookingResource holdTime listAppointmentConflicts listAppointments "
    "listBookingResources listTimeOff listWaits markAttended markNoShow "
    "moveAppointment refuseAppointment releaseHold renewHold resolveAppointmentConflict updateBookableService "
    "updateBookingResource "
).split()
#: Operations that no page asks for, with the reason; "not yet" is a wish.
UNUSED = {
    **dict.fromkeys(BOOK, "not yet: the book has no calendar in the console"),
    "backfillContacts": "not yet: contacts of the calls before contacts were kept are made by a program",
    "getBackfill": "not yet: as for `backfillContacts`",
    "testCall": "not yet: an agent is tried by text and from the browser, and calls anybody by *Place a call*",
    "getFlowTool": "the list of an agent's tools has all of each",
    "getOptOut": "the list of opt-outs is asked by the contact's number",
    "getOutboundCall": "the list has what a placed call waits for, and the call's own page the rest",
    "getSmsTemplate": "the list has all of each template",
    "listCallNotes": "a call's record has its notes",
    "listCallTags": "a call's record has its tags",
    "streamApprovals": "the stream of all changes tells of approvals, too",
    "streamInbox": "the stream of all changes tells of texts, too",
}
#: Operations that a page asks for by an address in an answer.
BY_ADDRESS = {"getMessageMedia": "media.url"}

TYPED_CALL = re.compile(r'\bapi\s*\.(GET|POST|PUT|PATCH|DELETE)\(\s*"([^"]+)"')
ADDRESS = re.compile(r"""[`"'](/api/[^`"'?\s]+)""")


@cache
def console() -> str:
    files = [file for file in CONSOLE.rglob("*.ts*") if ".test." not in file.name and file.name != "schema.d.ts"]
    return "\n".join(file.read_text() for file in sorted(files))


@cache
def operations() -> dict[tuple[str, str], str]:
    """Return the names of the operations by verb and path."""
    paths = openapi.document(contract.bindings(), "https://hum.example")["paths"]
    return {
        (verb.upper(), path): operation["operationId"]
        for path, verbs in paths.items()
        for verb, operation in verbs.items()
    }


def is_asked_for(path: str) -> bool:
    """Tell whether the source has the path as an address: of a stream, a download, a sound."""
    parts = path.split("/")
    for address in ADDRESS.findall(console()):
        given = re.sub(r"\$\{[^}]*\}", "{}", address).split("/")
        if len(given) == len(parts) and all(
            one in {other, "{}"} and (one == "{}" or not other.startswith("{"))
            for one, other in zip(given, parts, strict=True)
        ):
            return True
    return False


@cache
def unused() -> set[str]:
    """Return the operations that no page asks for."""
    typed = set(TYPED_CALL.findall(console()))
    named = {name for name, text in BY_ADDRESS.items() if text in console()}
    return {
        name
        for (verb, path), name in operations().items()
        if (verb, path) not in typed and name not in named and not (verb == "GET" and is_asked_for(path))
    }


def test_each_operation_has_a_page_or_a_reason() -> None:
    assert unused() == set(UNUSED), "these have no page and no reason, or have a page now"


def test_each_typed_call_is_an_operation() -> None:
    assert set(TYPED_CALL.findall(console())) <= operations().keys()


@pytest.mark.parametrize(
    ("path", "is_there"),
    [
        ("/api/calls/{id}/recording", True),
        ("/api/stream", True),
        ("/api/contacts/export", True),
        ("/api/calls/{id}/peaks", True),
        ("/api/flows/{flow_id}/tools/{id}", False),
    ],
)
def test_addresses_in_the_source_are_found(path: str, is_there: bool) -> None:
    assert is_asked_for(path) is is_there
