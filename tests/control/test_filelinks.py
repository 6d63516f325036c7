"""Links of texts' files: each opens one file, for some hours, and cannot be made without a key."""

import base64
from datetime import UTC, datetime, timedelta

from control.base.filelinks import LIFETIME, FileLinks
from hum import ids

AT = datetime(2026, 3, 8, 12, tzinfo=UTC)
KEY, OLD, FOREIGN = b"k" * 32, b"o" * 32, b"f" * 32
URL = "https://hum.example/f/"


def token(links: FileLinks, index: int = 1) -> str:
    return links.make(MESSAGE, index, AT).removeprefix(URL)


MESSAGE = ids.new()


def test_a_link_opens_its_file_until_it_expires() -> None:
    links = FileLinks([KEY], URL)
    made = links.make(MESSAGE, 9, AT)
    assert made.startswith(URL) and len(made.removeprefix(URL)) == 72
    opened = [
        links.read(made.removeprefix(URL), AT + after) for after in (timedelta(), LIFETIME - timedelta(seconds=1))
    ]
    assert opened == [(MESSAGE, 9)] * 2
    assert links.read(made.removeprefix(URL), AT + LIFETIME) is None


def test_a_changed_token_opens_nothing() -> None:
    links = FileLinks([KEY], URL)
    blob = base64.urlsafe_b64decode(token(links) + "=" * (-len(token(links)) % 4))
    for place in range(len(blob)):
        other = bytearray(blob)
        other[place] ^= 1
        assert links.read(base64.urlsafe_b64encode(other).decode().rstrip("="), AT) is None
    for hostile in ("", "=", "a", "ä", "../etc", token(links)[:-1], token(links) + "AAAA", "A" * 400):
        assert links.read(hostile, AT) is None


def test_a_key_that_was_replaced_still_opens() -> None:
    assert FileLinks([KEY, OLD], URL).read(token(FileLinks([OLD], URL)), AT) == (MESSAGE, 1)
    assert FileLinks([KEY, OLD], URL).read(token(FileLinks([FOREIGN], URL)), AT) is None
