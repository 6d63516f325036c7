"""Templates: plain substitution, and nothing more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.base import texttemplates
from control.base.texttemplates import BadTextTemplate, Rendered

VALUES = texttemplates.values_of(
    name="Ann O'Brien", company=None, email="", phone="+13175551234", organization="Clinic", number="+12125550100"
)


@pytest.mark.parametrize(
    ("text", "rendered", "missing"),
    [
        ("Hi {{contact.name}}, this is {{org.name}}.", "Hi Ann O'Brien, this is Clinic.", ()),
        ("Hi {{ contact.first_name | there }}!", "Hi Ann!", ()),
        ("Of {{contact.company|your company}}", "Of your company", ()),
        ("Of {{contact.company}}.{{contact.email}}{{contact.company}}", "Of .", ("contact.company", "contact.email")),
        ("Of {{contact.company|}}.", "Of .", ()),
        ("{a} } { }{ $1 %s \\1", "{a} } { }{ $1 %s \\1", ()),
        ("{{{org.name}}}", "{Clinic}", ()),
        ("No places", "No places", ()),
    ],
)
def test_rendering(text: str, rendered: str, missing: tuple[str, ...]) -> None:
    assert texttemplates.render(texttemplates.parse(text), VALUES) == Rendered(rendered, missing)


@pytest.mark.parametrize(
    "text",
    [
        "{{contact.nam}}", "{{}}", "{{ | x}}", "{{contact.name", "contact.name}}", "{{contact.name}",
        "{{contact.__class__}}", "{{contact.name.upper()}}", "{{contact['name']}}", "{{#if x}}", "{{%}}", "{{a b}}",
        "{{" + "a" * 61 + "}}", "{{contact.name|{{org.name}}}}",
    ],
)  # fmt: skip
def test_what_is_no_template_is_refused_when_it_is_written(text: str) -> None:
    with pytest.raises(BadTextTemplate):
        texttemplates.check(text)


def test_a_campaigns_own_variables() -> None:
    text = "Code {{code}}, {{contact.name|there}}"
    texttemplates.check(text, more={"code"})
    assert texttemplates.parse(text).names == ("code", "contact.name")
    assert texttemplates.render(texttemplates.parse(text), {"code": "7"}).text == "Code 7, there"
    with pytest.raises(BadTextTemplate, match="names code, which is unknown"):
        texttemplates.check(text)


@given(st.text())
def test_what_is_put_in_is_text_on_one_line(value: str) -> None:
    put_in = texttemplates.render(texttemplates.parse("<{{contact.name|-}}>"), {"contact.name": value}).text
    assert put_in == f"<{texttemplates.clean(value) or '-'}>"
    assert len(put_in) <= texttemplates.LONGEST_VALUE + 2 and not any(char < " " for char in put_in)


def test_a_value_that_looks_like_a_template_stays_as_it_is() -> None:
    found = texttemplates.render(
        texttemplates.parse("{{contact.name}}"), {"contact.name": "{{org.name}}", "org.name": "Clinic"}
    )
    assert found == Rendered("{{org.name}}", ())
