"""What an e-mail says, and what it must not."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from control.notifications import letters, rendering
from control.notifications.letters import Letter
from hum import ids
from hum.ids import Kind
from storage.notifications import InvitationLetterRow, NoticeRow, ReaderRow
from tests.support.present import present

AT = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)
URL = "https://hum.example"
ADMIN = ReaderRow("Clinic", "America/New_York", notify_transcripts=False, role="admin")
HEADERS = {
    *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress"),
    *("MIME-Version", "Content-Type"),
}
#: All of Unicode but lone surrogates, which the database does not store; most often what ends a line or means something.
TEXT = st.text(
    st.sampled_from("\0\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029:=?<>@, ") | st.characters(codec="utf-8"), max_size=80
)


def notice(kind: str = "voicemail", facts: Mapping[str, Any] | None = None, **fields: Any) -> NoticeRow:
    defaults: dict[str, Any] = {
        "thing_id": UUID(int=7) if kind in ("voicemail", "transfer") else None,
        "duration_ms": 62_400,
        "transcript": "Please call me back",
        "contact_e164": "+13175550199",
        "contact_name": None,
    }
    return NoticeRow(kind, facts or {}, AT, **{**defaults, **fields})


def written(letter: Letter | None, to: str = "ada@example.com") -> tuple[EmailMessage, str, str]:
    """The e-mail as it is read: its headers, its text, and its HTML."""
    assert letter is not None
    sent = rendering.message(letter, UUID(int=1), "HUM Desk <hum@example.com>", to, AT).as_bytes()
    read = message_from_bytes(sent, policy=policy.default)
    assert isinstance(read, EmailMessage)
    plain, html = read.get_body(("plain",)), read.get_body(("html",))
    assert plain is not None and html is not None
    return read, *(part.get_content().replace("\r\n", "\n") for part in (plain, html))


def test_a_voicemail_is_told_without_its_words() -> None:
    head, text, html = written(letters.letter(ADMIN, [notice(contact_name="Zoë <b>")], URL))
    assert head["Subject"] == "New voicemail from Zoë <b> (Clinic)"
    assert head["Message-ID"] == "<email_00000000000000000000000001@example.com>"
    assert "05 March 2026, 09:30, 1:02" in text, "in the organization's time zone"
    assert f"{URL}/voicemails?id={ids.show(Kind.VOICEMAIL, UUID(int=7))}\n" in text, "a page, and not the bare sound"
    assert f"{URL}/me\n" in text and "/api/" not in text + html, "links are for people"
    assert "Zoë &lt;b&gt;" in html and "<b>" not in html
    assert "call me back" not in text + html
    assert (head["Auto-Submitted"], head["To"]) == ("auto-generated", "ada@example.com")


def test_a_caller_whom_nobody_took_is_told_with_the_calls_page() -> None:
    head, text, _ = written(letters.letter(ADMIN, [notice("transfer")], URL))
    assert head["Subject"] == "Nobody took the call of +13175550199 (Clinic)"
    assert "05 March 2026, 09:30: nobody took the transfer" in text
    assert f"{URL}/calls/{ids.show(Kind.CALL, UUID(int=7))}\n" in text
    assert letters.letter(ADMIN, [notice("transfer", thing_id=None)], URL) is None, "somebody has dealt with it"


def test_its_words_are_told_only_where_the_organization_says_so() -> None:
    reader = ReaderRow("Clinic", "UTC", notify_transcripts=True, role="viewer")
    _, text, html = written(letters.letter(reader, [notice(transcript="Line <one>\nline\x07 two" + "x" * 3000)], URL))
    assert "Line <one>\nline two" in text and "Line &lt;one&gt;<br>line two" in html
    assert len(text) < 3000


def test_many_are_one_letter_that_counts_them() -> None:
    letter = letters.letter(ADMIN, [notice()] * 30 + [notice("limit", {"resource": "minutes", "percent": 80})], URL)
    head, text, _ = written(letter)
    assert head["Subject"] == "31 things (Clinic)"
    assert text.count("New voicemail") == 20 and "And 11 more." in text
    head, _, _ = written(letters.letter(ADMIN, [notice()] * 3, URL))
    assert head["Subject"] == "3 new voicemails (Clinic)"


def test_webhooks_and_limits_are_told_to_admins_alone() -> None:
    failing = {"url": "https://a.example/x", "error": "timeout", "response_status": None}
    told = [
        notice("webhook", failing),
        notice("webhook", {"url": "https://a.example/y", "reason": "gone"}),
        notice("limit", {"resource": "minutes", "percent": 80, "used": 81, "limit": 100}),
    ]
    _, text, _ = written(letters.letter(ADMIN, told, URL))
    assert "A webhook is failing\nhttps://a.example/x" in text and "it answered that it is gone" in text
    assert "80 % of your minutes are used\n81 of 100." in text
    operator = ReaderRow("Clinic", "UTC", notify_transcripts=False, role="operator")
    assert letters.letter(operator, told, URL) is None
    assert letters.letter(ADMIN, [notice(thing_id=None)], URL) is None, "it was deleted"


@pytest.mark.parametrize(
    "evil", ["Win\r\nBcc: all@example.com", "a\nb", "x\u2028y", "\0", "http://evil.example/", "evil.example"]
)
def test_names_bring_neither_headers_nor_links(evil: str) -> None:
    row = InvitationLetterRow(f"Prize {evil} now", evil, "viewer", AT)
    head, text, html = written(letters.invitation(row, URL))
    assert "Bcc" not in head and "\n" not in head["Subject"] and len(present(head.get_all("To"))) == 1
    assert "evil.example" not in head["Subject"] + text + html
    reader = ReaderRow(evil, "UTC", notify_transcripts=False, role="admin")
    facts = {"url": evil, "reason": evil}
    head, text, _ = written(letters.letter(reader, [notice(contact_name=evil), notice("webhook", facts)], URL))
    assert "Bcc" not in head and "\n" not in head["Subject"]


@given(TEXT)
@example("=?utf-8?q?x=0D=0ABcc:_all@localhost?=")  # a line break in an encoded word
def test_no_text_begins_a_header(evil: str) -> None:
    reader = ReaderRow(evil, "UTC", notify_transcripts=True, role="admin")
    facts = dict.fromkeys(("url", "reason", "error", "resource", "percent", "used", "limit"), evil)
    notices = (
        notice(contact_name=evil, transcript=evil),
        notice(contact_e164=evil),
        notice("transfer", contact_name=evil),
        notice("webhook", facts),
        notice("limit", facts),
    )
    told = [letters.letter(reader, [each], URL) for each in notices]
    for letter in (letters.invitation(InvitationLetterRow(evil, evil, "viewer", AT), URL), *told):
        head, _, _ = written(letter)
        assert len(head.keys()) == len(HEADERS) and {*head.keys()} == HEADERS
        assert head["To"] == "ada@example.com" and len(head["Subject"].splitlines()) == 1


@pytest.mark.parametrize("long", ["a" * 40_000, "a." * 20_000 + "/", "://" * 13_000, "a " * 20_000])
def test_a_name_of_any_length_is_read_once(long: str) -> None:
    began = time.process_time()
    assert len(letters.safe_name(long)) <= letters.NAME_CHARS
    assert time.process_time() - began < 0.5, "of this process: seconds, if each place were tried with each end"


@pytest.mark.parametrize("address", ["ada@example.com\r\nBcc: x@example.com", "a, b@example.com", "", "ada"])
def test_what_is_no_address_gets_nothing(address: str) -> None:
    letter = letters.letter(ADMIN, [notice()], URL)
    assert letter is not None
    with pytest.raises(ValueError, match=r"address|Invalid|CR or LF|addr_spec"):
        rendering.message(letter, UUID(int=1), "HUM <hum@example.com>", address, AT)


def test_an_invitation_by_a_key_says_whose_it_is() -> None:
    _, text, _ = written(
        letters.invitation(InvitationLetterRow("Clinic", "API key of ada@example.com", "viewer", AT), URL)
    )
    assert "API key of ada@example.com invites you to join Clinic as viewer." in text


def test_an_invitation_says_who_where_and_until_when() -> None:
    row = InvitationLetterRow("Dr. Ada & Sons", "ada@example.com", "operator", AT)
    head, text, html = written(letters.invitation(row, URL))
    assert "ada@example.com invites you to join Dr. Ada & Sons as operator." in text
    assert "05 March 2026" in text and f"{URL}/auth/login" in text
    assert "Ada &amp; Sons" in html and head["Subject"] == "Invitation to Dr. Ada & Sons"
