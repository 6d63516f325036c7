"""The content of e-mails, from the data at the time of sending; `rendering` gives it its form."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from control.notifications.noticekinds import (
    ALLOWED,
    DIGEST,
    LIMIT,
    MOST_SHOWN,
    OF_CALLS,
    TRANSFER,
    VOICEMAIL,
    WEBHOOK,
    kind_of,
)
from hum import ids, visibletext
from hum.ids import Kind
from storage.notifications import InvitationLetterRow, NoticeRow, ReaderRow

NAME_CHARS, TRANSCRIPT_CHARS = 60, 2000
#: An inviter that is an address, or the API key of one.
INVITER = re.compile(r"(API key of )?[\w.+-]{1,64}@[\w.-]{1,100}")
#: Words that mail programs turn into links.
LINK = re.compile(r"://|www\.|\w\.\w", re.IGNORECASE)
#: Pages of the console, which people can open; the API's URLs give them JSON, or 401 without a session.
MY_EMAILS, VOICEMAIL_PAGE, CALL_PAGE = "/me", "/voicemails?id=", "/calls/"
PLURALS = {
    VOICEMAIL: "new voicemails",
    TRANSFER: "callers whom nobody took",
    WEBHOOK: "problems with webhooks",
    LIMIT: "warnings of limits",
    DIGEST: "things",
}


@dataclass(frozen=True, slots=True)
class LetterItem:
    """An entry of an e-mail."""

    title: str
    detail: str = ""
    url: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """The content of an e-mail, independent of its form."""

    subject: str
    intro: str
    items: Sequence[LetterItem]
    footer: str


def safe_name(text: str) -> str:
    """Reduce an untrusted name to one short line without links, for an e-mail to a stranger."""
    words = " ".join(word for word in visibletext.line(text).split() if LINK.search(word) is None)
    return words[:NAME_CHARS].strip() or "-"


def invitation(row: InvitationLetterRow, public_url: str) -> Letter:
    """Return the content of an invitation."""
    organization, by = safe_name(row.organization), safe_name(row.invited_by)
    # The inviter's address, which `safe_name` would drop as a link, identifies them or their key.
    by = row.invited_by if INVITER.fullmatch(row.invited_by) else by
    return Letter(
        f"Invitation to {organization}",
        f"{by} invites you to join {organization} as {row.role}.",
        [
            LetterItem(
                "Sign in with this e-mail address to accept or decline.",
                f"The invitation ends on {row.expires_at:%d %B %Y}.",
                f"{public_url}/auth/login",
                "Sign in",
            )
        ],
        "If you don't know who this is, ignore this e-mail; nothing happens then.",
    )


def letter(reader: ReaderRow, notices: Sequence[NoticeRow], public_url: str) -> Letter | None:
    """Return the content of a member's e-mail, without what was deleted or is no longer allowed for their role; None if empty."""
    zone = ZoneInfo(reader.time_zone)
    entries = [
        (notice.kind, _item(notice, zone, public_url, with_transcript=reader.notify_transcripts))
        for notice in notices
        if reader.role in ALLOWED[notice.kind] and not (notice.kind in OF_CALLS and notice.thing_id is None)
    ]
    if not entries:
        return None
    items = [item for _, item in entries]
    kind, count = kind_of([kind for kind, _ in entries]), len(entries)
    organization = safe_name(reader.organization)
    subject = items[0].title if count == 1 else f"{count} {PLURALS[kind]}"
    shown = items[:MOST_SHOWN]
    if more := count - len(shown):
        shown = [*shown, LetterItem(f"And {more} more.")]
    return Letter(
        f"{subject} ({organization})",
        f"New in {organization}:",
        shown,
        f"You get this as a member of {organization}. Which e-mails you get is up to you: {public_url}{MY_EMAILS}",
    )


def _item(notice: NoticeRow, zone: ZoneInfo, public_url: str, *, with_transcript: bool) -> LetterItem:
    match notice.kind:
        case "voicemail":
            return _voicemail(notice, zone, public_url, with_transcript=with_transcript)
        case "transfer":
            return _untaken(notice, zone, public_url)
        case "webhook":
            return _webhook(notice, zone)
        case _:
            return _limit(notice.facts)


def _voicemail(notice: NoticeRow, zone: ZoneInfo, public_url: str, *, with_transcript: bool) -> LetterItem:
    assert notice.thing_id is not None and notice.duration_ms is not None, "deleted voicemails are left out"
    minutes, seconds = divmod(round(notice.duration_ms / 1000), 60)
    detail = f"{_when(notice.created_at, zone)}, {minutes}:{seconds:02d}"
    if with_transcript and notice.transcript:
        detail += f"\n{_lines(notice.transcript)}"
    url = f"{public_url}{VOICEMAIL_PAGE}{ids.show(Kind.VOICEMAIL, notice.thing_id)}"
    return LetterItem(f"New voicemail from {_caller(notice)}", detail, url, "Listen")


def _untaken(notice: NoticeRow, zone: ZoneInfo, public_url: str) -> LetterItem:
    assert notice.thing_id is not None, "calls that were dealt with are left out"
    url = f"{public_url}{CALL_PAGE}{ids.show(Kind.CALL, notice.thing_id)}"
    detail = f"{_when(notice.created_at, zone)}: nobody took the transfer, and there is no message. Please call back."
    return LetterItem(f"Nobody took the call of {_caller(notice)}", detail, url, "See the call")


def _caller(notice: NoticeRow) -> str:
    return safe_name(notice.contact_name) if notice.contact_name else notice.contact_e164 or "an unknown number"


def _webhook(notice: NoticeRow, zone: ZoneInfo) -> LetterItem:
    facts, when = notice.facts, _when(notice.created_at, zone)
    url = _line(facts.get("url"))
    if "reason" in facts:
        why = {"gone": "it answered that it is gone", "failing": "it failed for days"}
        return LetterItem(
            "A webhook was disabled", f"{url}\n{when}: {why.get(str(facts['reason']), _line(facts['reason']))}."
        )
    error = _line(facts.get("response_status") or facts.get("error"))
    return LetterItem("A webhook is failing", f"{url}\n{when}: {error}. It will be disabled if this goes on.")


def _limit(facts: Mapping[str, Any]) -> LetterItem:
    resource, percent = _line(facts.get("resource")), _line(facts.get("percent"))
    used, limit = _line(facts.get("used")), _line(facts.get("limit"))
    return LetterItem(f"{percent} % of your {resource} are used", f"{used} of {limit}.")


def _when(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%d %B %Y, %H:%M}"


def _line(value: object) -> str:
    """Convert a value of an event's data to one line."""
    return visibletext.line(str(value if value is not None else "-"))[:500]


def _lines(text: str) -> str:
    printable = "".join(char for char in text if char == "\n" or char.isprintable())
    return printable[:TRANSCRIPT_CHARS] + ("..." if len(printable) > TRANSCRIPT_CHARS else "")
