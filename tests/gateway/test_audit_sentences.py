"""The console's audit log has a sentence in each language for all that can be in the log, and words for the fields."""

import json
import re
from pathlib import Path

import pytest
from google.api import annotations_pb2, field_behavior_pb2

from control.audit import kinds
from hum.contract.services import services
from hum.v1 import audit_pb2, options_pb2

TEXTS = Path(__file__).parents[2] / "console/src/i18n"
#: Operations that need no sentence of their own: the page says that "X" was done to them, with the name in the API.
GENERIC: frozenset[str] = frozenset()
LANGUAGES = ("en", "es")


def table(language: str, name: str) -> dict[str, str]:
    """A table of texts, by its keys."""
    text = (TEXTS / language / "auditLog.ts").read_text()
    block = re.search(rf"^  {name}: {{\n(.*?)^  }}", text, re.MULTILINE | re.DOTALL)
    assert block, f"{language} has no table {name}"
    lines = re.findall(r'^    (\w+): (".*"),$', block[1], re.MULTILINE)
    assert len(lines) == len(block[1].splitlines()), "each line is one text"
    return {key: json.loads(value) for key, value in lines}


def logged() -> set[str]:
    """All actions that the log may have."""
    actions = set(kinds.OTHER_ACTIONS)
    for method in (method for service in services() for method in service.methods):
        options = method.GetOptions()
        verb = options.Extensions[annotations_pb2.http].WhichOneof("pattern")
        if verb and (verb != "get" or options.Extensions[options_pb2.access].audits_reads):
            actions.add(method.name[0].lower() + method.name[1:])
    return actions


def fields() -> set[str]:
    """The fields that a change may name."""
    names = set[str]()
    for method in (method for service in services() for method in service.methods):
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        if rule.WhichOneof("pattern") in {"post", "patch", "put"}:
            message = method.input_type
            if rule.body in message.fields_by_name:
                message = message.fields_by_name[rule.body].message_type or message
            names |= {
                field.name
                for field in message.fields
                if field_behavior_pb2.OUTPUT_ONLY
                not in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
            }
    return names


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_operation_of_the_log_has_a_sentence(language: str) -> None:
    sentences = table(language, "sentences")
    assert set(sentences) == logged() - GENERIC
    assert all(text.count("{}") <= 1 and text == text.strip() for text in sentences.values())


def test_the_sentences_name_the_same_things() -> None:
    english, spanish = (table(language, "sentences") for language in LANGUAGES)
    assert [key for key in english if ("{}" in english[key]) != ("{}" in spanish[key])] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_can_be_chosen(language: str) -> None:
    words = {name.removeprefix("AUDIT_SUBJECT_KIND_").lower() for name in audit_pb2.AuditSubjectKind.keys()}
    assert set(table(language, "kinds")) == words - {"unspecified"}


def test_fields_have_words() -> None:
    """English ones are mostly words as they are."""
    assert fields() - set(table("es", "fields")) == set()
    for language in LANGUAGES:
        assert set(table(language, "fields")) - fields() == set(), language
