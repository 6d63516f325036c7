"""One search for things of each kind, over the searches that the lists have."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from control.base import phone
from hum import ids
from hum.ids import Kind
from storage import call_records, contacts, inbox, namesearch
from storage.call_records import CallFilter, CallRow, Query
from storage.contacts import ContactRow
from storage.db import Tx
from storage.inbox import InboxFilter, ThreadRow
from storage.namesearch import NamedRow

#: The kinds in the order of the results, each with the scope of its list.
SCOPES: Final = MappingProxyType(
    {
        "contact": "contacts:read",
        "call": "calls:read",
        "conversation": "sms:read",
        "flow": "flows:read",
        "campaign": "campaigns:read",
    }
)
#: What `or`, quotes and `-` mean in the search of calls, they don't mean here: a pasted dash would find all calls without a word.
OPERATORS: Final = re.compile(r'["\-\u2010-\u2015\x00]+|\bor\b', re.IGNORECASE)
SUBTITLE_CHARS: Final = 160


@dataclass(frozen=True, slots=True)
class Match:
    """A thing that was found."""

    id: str
    title: str
    subtitle: str | None


async def find(tx: Tx, q: str, kinds: Sequence[str], most: int) -> Mapping[str, list[Match]]:
    """Return up to `most` things of each kind, newest first; nothing for a text without a letter or digit."""
    text = " ".join(OPERATORS.sub(" ", q).split())
    if not any(character.isalnum() for character in text):
        return {}
    # A number's own notation has dashes, which the text has lost.
    digits = phone.digits(q.replace("\x00", " "))
    return {kind: await FINDERS[kind](tx, text, digits, most) for kind in kinds}


async def _contacts(tx: Tx, text: str, digits: str | None, most: int) -> list[Match]:
    return [_contact(row) for row in await contacts.search(tx, text, digits, None, None, most)]


def _contact(row: ContactRow) -> Match:
    name = row.name or row.caller_name
    return Match(ids.show(Kind.CONTACT, row.id), name or row.phone_e164, _joined(row.company, name and row.phone_e164))


async def _calls(tx: Tx, text: str, digits: str | None, most: int) -> list[Match]:
    return [_call(row) for row in await call_records.search(tx, Query(text, digits), CallFilter(), None, most)]


def _call(row: CallRow) -> Match:
    phone_e164 = row.from_e164 if row.direction == "inbound" else row.to_e164
    title = row.contact_name or phone_e164
    return Match(ids.show(Kind.CALL, row.id), title, _joined(row.contact_name and phone_e164, row.summary_text))


async def _conversations(tx: Tx, text: str, digits: str | None, most: int) -> list[Match]:
    return [_conversation(row) for row in await inbox.search(tx, text, digits, InboxFilter(), None, most)]


def _conversation(row: ThreadRow) -> Match:
    subtitle = _joined(row.contact_name and row.contact_e164, row.last_message_preview)
    return Match(ids.show(Kind.CONVERSATION, row.id), row.contact_name or row.contact_e164, subtitle)


async def _flows(tx: Tx, text: str, _: str | None, most: int) -> list[Match]:
    return [_named(Kind.FLOW, row) for row in await namesearch.flows(tx, text, most)]


async def _campaigns(tx: Tx, text: str, _: str | None, most: int) -> list[Match]:
    return [_named(Kind.CAMPAIGN, row) for row in await namesearch.campaigns(tx, text, most)]


def _named(kind: Kind, row: NamedRow) -> Match:
    return Match(ids.show(kind, row.id), row.name, row.status)


def _joined(*parts: str | None) -> str | None:
    return " · ".join(part for part in parts if part)[:SUBTITLE_CHARS] or None


FINDERS: Final[Mapping[str, Callable[[Tx, str, str | None, int], Awaitable[list[Match]]]]] = MappingProxyType(
    {"contact": _contacts, "call": _calls, "conversation": _conversations, "flow": _flows, "campaign": _campaigns}
)
