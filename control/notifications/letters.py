"""What an e-mail says, from what is known when it is sent; how it looks is for `rendering`."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from control.notifications.rules import ALLOWED, DIGEST, LIMIT, MOST_SHOWN, VOICEMAIL, WEBHOOK, kind_of
from hum import ids
from hum.ids import Kind
from storage.notifications import InvitationRow, NoticeRow, ReaderRow

NAME_CHARS, TRANSCRIPT_CHARS = 60, 2000
#: What makes a word one that mail programs turn into a link.
INVITER = re.compile(r"(API key of )?[\w.+-]{1,64}@[\w.-]{1,100}")
LINK = re.compile(r"://|www\.|\w\.\w", re.IGNORECASE)
#: Pages of the console: what an e-mail leads to is for people, who get JSON from the API, and 401 where they aren't signed in.
MY_EMAILS, VOICEMAIL_PAGE = "/me", "/voicemails?id="
PLURALS = {
    VOICEMAIL: "new voicemails",
    WEBHOOK: "problems with webhooks",
    LIMIT: "warnings of limits",
    DIGEST: "things",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that an e-mail tells."""

    title: str
    detail: str = ""
    url: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """What an e-mail says, whatever it looks like."""

    subject: str
    intro: str
    items: Sequence[Item]
    footer: str


def named(text: str) -> str:
    """A name that somebody chose, as it may stand in an e-mail to a stranger: one short line without links."""
    visible = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    words = " ".join(word for word in visible.split() if LINK.search(word) is None)
    return words[:NAME_CHARS].strip() or "-"


def invitation(row: InvitationRow, public_url: str) -> Letter:
    organization, by = named(row.organization), named(row.invited_by)
    # An inviter, or whose key it is, is known by their address, which is no link here.
    by = row.invited_by if INVITER.fullmatch(row.invited_by) else by
    return Letter(
        f"Invitation to {organization}",
        f"{by} invites you to join {organization} as {row.role}.",
        [
            Item(
                "Sign in with this e-mail address to accept or decline.",
                f"The invitation ends on {row.expires_at:%d %B %Y}.",
                f"{public_url}/auth/login",
                "Sign in",
            )
        ],
        "If you don't know who this is, ignore this e-mail; nothing happens then.",
    )


def letter(reader: ReaderRow, notices: Sequence[NoticeRow], public_url: str) -> Letter | None:
    """What a member is told; None if there is nothing left to say.

    What the member's role may not know any more is left out, and so is what was deleted.
    """
    zone = ZoneInfo(reader.time_zone)
    known = [
        (notice.kind, _item(notice, zone, public_url, with_transcript=reader.notify_transcripts))
        for notice in notices
        if reader.role in ALLOWED[notice.kind] and not (notice.kind == VOICEMAIL and notice.voicemail_id is None)
    ]
    if not known:
        return None
    items = [item for _, item in known]
    kind, count, organization = kind_of([kind for kind, _ in known]), len(known), named(reader.organization)
    subject = items[0].title if count == 1 else f"{count} {PLURALS[kind]}"
    shown = items[:MOST_SHOWN]
    if more := count - len(shown):
        shown = [*shown, Item(f"And {more} more.")]
    return Letter(
        f"{subject} ({organization})",
        f"New in {organization}:",
        shown,
        f"You get this as a member of {organization}. Which e-mails you get is up to you: {public_url}{MY_EMAILS}",
    )


def _item(notice: NoticeRow, zone: ZoneInfo, public_url: str, *, with_transcript: bool) -> Item:
    match notice.kind:
        case "voicemail":
            return _voicemail(notice, zone, public_url, with_transcript=with_transcript)
        case "webhook":
            return _webhook(notice, zone)
        case _:
            return _limit(notice.facts)


def _voicemail(notice: NoticeRow, zone: ZoneInfo, public_url: str, *, with_transcript: bool) -> Item:
    assert notice.voicemail_id is not None and notice.duration_ms is not None, "those that are gone are left out"
    caller = named(notice.contact_name) if notice.contact_name else notice.from_e164 or "an unknown number"
    minutes, seconds = divmod(round(notice.duration_ms / 1000), 60)
    detail = f"{_when(notice.created_at, zone)}, {minutes}:{seconds:02d}"
    if with_transcript and notice.transcript:
        detail += f"\n{_lines(notice.transcript)}"
    url = f"{public_url}{VOICEMAIL_PAGE}{ids.show(Kind.VOICEMAIL, notice.voicemail_id)}"
    return Item(f"New voicemail from {caller}", detail, url, "Listen")


def _webhook(notice: NoticeRow, zone: ZoneInfo) -> Item:
    facts, when = notice.facts, _when(notice.created_at, zone)
    url = _line(facts.get("url"))
    if "reason" in facts:
        why = {"gone": "it answered that it is gone", "failing": "it failed for days"}
        return Item(
            "A webhook was disabled", f"{url}\n{when}: {why.get(str(facts['reason']), _line(facts['reason']))}."
        )
    error = _line(facts.get("response_status") or facts.get("error"))
    return Item("A webhook is failing", f"{url}\n{when}: {error}. It will be disabled if this goes on.")


def _limit(facts: Mapping[str, Any]) -> Item:
    resource, percent = _line(facts.get("resource")), _line(facts.get("percent"))
    used, limit = _line(facts.get("used")), _line(facts.get("limit"))
    return Item(f"{percent} % of your {resource} are used", f"{used} of {limit}.")


def _when(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%d %B %Y, %H:%M}"


def _line(value: object) -> str:
    """A value of an event's data, on one line."""
    return " ".join(str(value if value is not None else "-").split())[:500]


def _lines(text: str) -> str:
    kept = "".join(char for char in text if char == "\n" or char.isprintable())
    return kept[:TRANSCRIPT_CHARS] + ("..." if len(kept) > TRANSCRIPT_CHARS else "")
