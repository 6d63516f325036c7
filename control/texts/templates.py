"""Templates of texts: plain substitution, without logic.  Pure; of people's templates and of campaigns alike.

`{{contact.name}}` is a variable, `{{contact.name|there}}` one with another word for when it is not known.  What is put in is
text and is not looked at again, so that no contact's name can be a template; it is one line of bounded length.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

#: What every template may name; a campaign's recipients may have variables of their own.
KNOWN = frozenset(
    {
        "contact.name",
        "contact.first_name",
        "contact.company",
        "contact.email",
        "contact.phone",
        "org.name",
        "number.phone",
    }
)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*")
LONGEST_NAME, LONGEST_VALUE = 60, 200
_PLACE = re.compile(r"\{\{([^{}]*)\}\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+")


class BadTemplate(ValueError):  # noqa: N818
    """What is wrong with a template, as the end of a sentence that begins with the field's name."""


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    #: What stands there if it is not known; None: nothing, and that is told.
    otherwise: str | None


@dataclass(frozen=True, slots=True)
class Template:
    parts: Sequence[str | Variable]

    @property
    def names(self) -> Sequence[str]:
        """The variables, each once, in the order of the text."""
        return tuple(dict.fromkeys(part.name for part in self.parts if isinstance(part, Variable)))


@dataclass(frozen=True, slots=True)
class Rendered:
    text: str
    #: The variables that are not known and have no other word.
    missing: Sequence[str]


def check(text: str, more: Collection[str] = ()) -> Template:
    """As `parse`, for a text that is to be kept; `more`: variables that it may name besides `KNOWN`.  Raises BadTemplate."""
    template, known = parse(text), {*KNOWN, *more}
    for name in template.names:
        if name not in known:
            raise BadTemplate(f"names {name}, which is unknown; known are {', '.join(sorted(known))}")
    return template


def parse(text: str) -> Template:
    """A template.  Raises BadTemplate."""
    parts, end = list[str | Variable](), 0
    for place in _PLACE.finditer(text):
        parts += [_plain(text[end : place.start()]), _variable(place[1])]
        end = place.end()
    parts.append(_plain(text[end:]))
    return Template(tuple(part for part in parts if part))


def _plain(text: str) -> str:
    if "{{" in text or "}}" in text:
        raise BadTemplate("has {{ or }} without the other; a variable is {{contact.name}}")
    return text


def _variable(inside: str) -> Variable:
    name, has_other, otherwise = inside.partition("|")
    name = name.strip()
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        raise BadTemplate(f"has {{{{{inside[:LONGEST_NAME]}}}}}, which is no variable; one is {{{{contact.name}}}}")
    return Variable(name, otherwise.strip() if has_other else None)


def render(template: Template, values: Mapping[str, str | None]) -> Rendered:
    """The text with what is known; an empty value is not known."""
    text, missing = list[str](), dict[str, None]()
    for part in template.parts:
        if isinstance(part, str):
            text.append(part)
        elif known := clean(values.get(part.name) or ""):
            text.append(known)
        elif part.otherwise is not None:
            text.append(part.otherwise)
        else:
            missing[part.name] = None
    return Rendered("".join(text), tuple(missing))


def clean(value: str) -> str:
    """A value as it is put in: on one line, and not too long."""
    return _CONTROL.sub(" ", value).strip()[:LONGEST_VALUE].strip()


def values_of(
    *, name: str | None, company: str | None, email: str | None, phone: str, organization: str, number: str
) -> Mapping[str, str | None]:
    """What the variables of `KNOWN` stand for."""
    words = (name or "").split()
    return {
        "contact.name": name,
        "contact.first_name": words[0] if words else None,
        "contact.company": company,
        "contact.email": email,
        "contact.phone": phone,
        "org.name": organization,
        "number.phone": number,
    }
