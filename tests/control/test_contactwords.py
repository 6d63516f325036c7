"""The variables in an agent's own words: what is said of whom, and what is refused when it is written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.base import texttemplates
from control.flows import contactwords
from hum.v1 import flows_pb2 as pb

ANN = texttemplates.values_of(
    name="Ann O'Brien", company=None, email="", phone="+13175551234", organization="Clinic", number="+12125550100"
)
NOBODY = texttemplates.values_of(
    name=None, company=None, email=None, phone="", organization="Clinic", number="+12125550100"
)


@pytest.mark.parametrize(("greeting", "to_ann", "to_nobody"), [
    ("Hello {{contact.first_name|there}}!", "Hello Ann!", "Hello there!"),
    ("Hello {{contact.first_name|}}, this is {{org.name}}.", "Hello Ann, this is Clinic.", "Hello, this is Clinic."),
    ("{{contact.first_name|}}, welcome.", "Ann, welcome.", ", welcome."),
    ("Hello {{contact.name|}} {{contact.company|}} again", "Hello Ann O'Brien again", "Hello again"),
    ("Bonjour {{contact.first_name|}} !", "Bonjour Ann !", "Bonjour !"),
    ("Hello there , friend", "Hello there , friend", "Hello there , friend"),
    ("An old {{greeting", "An old {{greeting", "An old {{greeting"),
    ("An old {{contact.nickname}}", "An old", "An old"),
])  # fmt: skip
def test_what_is_said_first(greeting: str, to_ann: str, to_nobody: str) -> None:
    assert contactwords.personal({"greeting": greeting}, ANN) == {"greeting": to_ann}
    assert contactwords.personal({"greeting": greeting}, NOBODY) == {"greeting": to_nobody}


@pytest.mark.parametrize(("prompt", "for_ann", "for_nobody"), [
    ("You speak with {{ contact.name }}.", "You speak with Ann O'Brien.", "You speak with (not known)."),
    ("You speak with {{contact.name|a stranger}}.", "You speak with Ann O'Brien.", "You speak with a stranger."),
    ('Answer {"a": {"b": 1}} or {{x}}, {{#if}}, }}.', 'Answer {"a": {"b": 1}} or {{x}}, {{#if}}, }}.', None),
    ("{{contacts.name}} {{contact}} {contact.name}", "{{contacts.name}} {{contact}} {contact.name}", None),
])  # fmt: skip
def test_a_prompts_own_braces_stay(prompt: str, for_ann: str, for_nobody: str | None) -> None:
    assert contactwords.personal({"system_prompt": prompt}, ANN)["system_prompt"] == for_ann
    found = contactwords.personal({"system_prompt": prompt}, NOBODY)["system_prompt"]
    assert found == (for_ann if for_nobody is None else for_nobody)


def faults(flow: pb.Flow, before: pb.Flow) -> dict[str, str]:
    problems = contactwords.problems(flow, before)
    return {problem.field: problem.reason for problem in problems}


@pytest.mark.parametrize(("fields", "field", "reason"), [
    ({"greeting": "Hi {{contact.first_name}}"}, "greeting",
     "needs a default for who is not known, which may be empty: {{contact.first_name|there}}"),
    ({"greeting": "Hi {{contact.nickname|you}}"}, "greeting", "names contact.nickname, which is unknown"),
    ({"greeting": "Hi {{"}, "greeting", "has {{ or }} without the other"),
    ({"machine_message": "For {{contact.name}}"}, "machine_message", "needs a default"),
    ({"system_prompt": "For {{ contact.nickname }}"}, "system_prompt", "names contact.nickname, which is unknown"),
    ({"system_prompt": "{{org.}}"}, "system_prompt", "names org., which is unknown"),
])  # fmt: skip
def test_what_no_caller_could_be_told_is_refused(fields: dict[str, Any], field: str, reason: str) -> None:
    ((path, found),) = faults(pb.Flow(**fields), pb.Flow()).items()
    assert path == f"flow.{field}" and found.startswith(reason)
    assert faults(pb.Flow(**fields), pb.Flow(**fields)) == {}, "it was stored before"


def test_what_is_allowed() -> None:
    spoken = "Hi {{contact.first_name|}}, this is {{org.name}} at {{number.phone}}"
    flow = pb.Flow(greeting=spoken, machine_message=spoken, system_prompt='{{contact.name}} {"a": {}} {{x}}')
    assert faults(flow, pb.Flow()) == {}


@pytest.mark.parametrize(("definition", "names"), [
    ({"greeting": "Hi {{contact.first_name|}}"}, True), ({"system_prompt": "Of {{contact.name}}"}, True),
    ({"greeting": "Hi", "system_prompt": "{{org.name}}"}, False), ({}, False),
])  # fmt: skip
def test_whether_the_contact_is_named(definition: dict[str, str], names: bool) -> None:
    assert contactwords.names_contact(definition) is names


def check_a_value(name: str) -> None:
    """It is one short visible line, and no template."""
    values = {"contact.name": name, "org.name": "Clinic"}
    fields = ("greeting", "machine_message", "system_prompt")
    own = contactwords.personal(dict.fromkeys(fields, "<{{contact.name|-}}>"), values)
    assert len({own[each] for each in fields}) == 1
    inside = own["greeting"][1:-1]
    assert (len(inside) <= contactwords.LONGEST_VALUE and "\n" not in inside and inside.isprintable()) or inside == "-"


@pytest.mark.parametrize("name", ["{{org.name}}", "A\n# Be rude", "x" * 500, "\u202eevil", " ", "\x00"])
def test_a_value_is_text(name: str) -> None:
    check_a_value(name)


@given(st.text(alphabet=st.characters(max_codepoint=0x2FF)))
def test_any_value_is_text(name: str) -> None:
    check_a_value(name)
