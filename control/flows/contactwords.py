"""The variables in an agent's own words: `{{contact.first_name|there}}` in what it says first and in its prompt.  Pure.

spoken   each {{…}} is a variable; one of the contact has a default, which is said to whoever is not known, and may be empty
prompt   {{contact.…}}, {{org.…}} and {{number.…}} are variables; all other braces are the prompt's own
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from control.base import prompting, texttemplates
from control.base.texttemplates import BadTextTemplate, Variable
from hum.contract.errors import FieldError
from hum.v1 import flows_pb2 as pb

#: Values of the variables of `texttemplates.KNOWN`; one that is missing or empty is not known.
Values = Mapping[str, str | None]

SPOKEN = ("greeting", "machine_message")
PROMPT = "system_prompt"
CONTACT = "contact."
#: What a prompt has in place of a value that is not known, without a default.
UNKNOWN = "(not known)"
LONGEST_VALUE = 80
_PROMPT_PLACE = re.compile(r"\{\{\s*((?:contact|org|number)\.[^{}|]*?)\s*(?:\|([^{}]*))?\}\}")
#: What stands after a word without a space.
_CLOSING = re.compile(r"[\s,.!?;:…]")


def problems(flow: pb.Flow, before: pb.Flow) -> Iterator[FieldError]:
    """Yield errors in the variables of the fields that changed."""
    for name in (*SPOKEN, PROMPT):
        if (text := getattr(flow, name)) != getattr(before, name):
            try:
                _check_prompt(text) if name == PROMPT else _check_spoken(text)
            except BadTextTemplate as error:
                yield FieldError(f"flow.{name}", str(error))


def _check_spoken(text: str) -> None:
    for part in texttemplates.check(text).parts:
        if isinstance(part, Variable) and part.name.startswith(CONTACT) and part.otherwise is None:
            raise BadTextTemplate(
                f"needs a default for who is not known, which may be empty: {{{{{part.name}|there}}}}"
            )


def _check_prompt(text: str) -> None:
    for part in _prompt_parts(text):
        if isinstance(part, Variable):
            texttemplates.require_known(part.name)


def names_contact(definition: Mapping[str, Any]) -> bool:
    """Return whether what the agent says first, or its prompt, names the contact."""
    parts = [*_spoken_parts(str(definition.get("greeting", ""))), *_prompt_parts(str(definition.get(PROMPT, "")))]
    return any(isinstance(part, Variable) and part.name.startswith(CONTACT) for part in parts)


def personal(definition: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """Return a stored flow whose words name this contact."""
    found = {name: prompting.line(value, LONGEST_VALUE) for name, value in values.items() if value}
    own = dict(definition)
    for name in SPOKEN:
        if text := definition.get(name):
            own[name] = _spoken(_spoken_parts(text), found)
    if text := definition.get(PROMPT):
        own[PROMPT] = "".join(
            part if isinstance(part, str) else _value(part, found, UNKNOWN) for part in _prompt_parts(text)
        )
    return own


def _spoken(parts: Sequence[str | Variable], values: Mapping[str, str]) -> str:
    """Return a sentence without the gaps of empty values."""
    sentence, is_gap = "", False
    for part in parts:
        text = part if isinstance(part, str) else _value(part, values, "")
        if is_gap and sentence.endswith(" ") and _CLOSING.match(text):
            sentence = sentence[:-1]
        is_gap = not text
        sentence += text
    return sentence.strip()


def _value(variable: Variable, values: Mapping[str, str], unknown: str) -> str:
    if value := values.get(variable.name):
        return value
    return unknown if variable.otherwise is None else variable.otherwise


def _spoken_parts(text: str) -> Sequence[str | Variable]:
    """Parse a stored sentence; one of an earlier release may be no template, and is said as it stands."""
    try:
        return texttemplates.parse(text).parts
    except BadTextTemplate:
        return (text,)


def _prompt_parts(text: str) -> Sequence[str | Variable]:
    parts, end = list[str | Variable](), 0
    for match in _PROMPT_PLACE.finditer(text):
        otherwise = match[2]
        parts += [text[end : match.start()], Variable(match[1], None if otherwise is None else otherwise.strip())]
        end = match.end()
    return (*parts, text[end:])
