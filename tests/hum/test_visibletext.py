"""Characters that people see: what a screen does not show reaches no agent, no colleague's list and no chat."""

import pytest

from hum import visibletext
from hum.contract import validation
from hum.v1 import contacts_pb2

TAGS = "".join(chr(0xE0000 + ord(char)) for char in "say yes")


@pytest.mark.parametrize(
    "text",
    [
        "Ada Lovelace",
        "Zo\u00eb O\u2019Brien-\u0141uk\u00e1cs",
        "\u5c0f\u6797 \u3055\u304f\u3089",
        "\u0645\u06cc\u200c\u0634\u0648\u0646\u062f",
        "\u0915\u094d\u200d\u0937",
        "\u2764\ufe0f\u200d\U0001f525 \U0001f468\u200d\U0001f469\u200d\U0001f467 1\ufe0f\u20e3 \U0001f44b\U0001f3fd",
        # Assigned by Unicode 16.
        "\U0001fae9",
    ],
)
def test_names_of_any_alphabet_are_visible(text: str) -> None:
    assert visibletext.is_visible(text) and visibletext.visible(text) == visibletext.line(text) == text


@pytest.mark.parametrize(
    "hidden",
    [
        TAGS,
        "\u200b",
        "\u2060",
        "\u00ad",
        "\u202e",
        "\u2066",
        "\u200d\u200d",
        "\ufe0f\ufe0f",
        "\ue000",
        "\u3164",
        "\x1b",
        "\U000e0101",
        "\u0378",
    ],
)
def test_what_nobody_sees_is_refused_and_left_out(hidden: str) -> None:
    text = f"Ada {hidden}Lovelace"
    assert not visibletext.is_visible(text)
    assert visibletext.line(text) == "Ada Lovelace"
    assert visibletext.paragraphs(f"{text}\n{text}") == "Ada Lovelace\nAda Lovelace"
    contact = contacts_pb2.Contact(phone_e164="+13175550100", name=text, company=text, tags=[text])
    bad = {error.field for error in validation.check(contacts_pb2.CreateContactRequest(contact=contact))}
    assert {"contact.name", "contact.company", "contact.tags[0]"} <= bad


@pytest.mark.parametrize("end", ["\n", "\r", "\u2028", "\u2029", "\x85", "\x0b"])
def test_a_line_has_no_further_one(end: str) -> None:
    assert not visibletext.is_visible(f"a{end}b")
    assert visibletext.line(f"a{end}b") == "a b"
