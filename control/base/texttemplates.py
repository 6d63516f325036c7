"""Templates of texts: plain substitution, without logic, for people's templates and campaigns.  Pure.

`{{contact.name}}` is a variable, `{{contact.name|there}}` one with a default.  A value is one line of bounded length, and is not
parsed, so a contact's name can't act as a template.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

#: The variables of every template; a campaign's recipients may have more.
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


class BadTextTemplate(ValueError):  # noqa: N818
    """An error in a template; its text is the predicate of a sentence about the field."""


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    #: The default; None: no text, and the variable is reported as missing.
    otherwise: str | None


@dataclass(frozen=True, slots=True)
class TextTemplate:
    parts: Sequence[str | Variable]

    @property
    def names(self) -> Sequence[str]:
        """The distinct variables, in the order of the text."""
        return tuple(dict.fromkeys(part.name for part in self.parts if isinstance(part, Variable)))


@dataclass(frozen=True, slots=True)
class Rendered:
    text: str
    #: The variables without a value and a default.
    missing: Sequence[str]


def check(text: str, more: Collection[str] = ()) -> TextTemplate:
    """Parse a text that will be stored; `more`: variables allowed besides `KNOWN`.  Raises BadTextTemplate."""
    template = parse(text)
    for name in template.names:
        require_known(name, more)
    return template


def require_known(name: str, more: Collection[str] = ()) -> None:
    """Raise BadTextTemplate for a variable that is neither in `KNOWN` nor in `more`."""
    if name not in (allowed := {*KNOWN, *more}):
        raise BadTextTemplate(f"names {name}, which is unknown; known are {', '.join(sorted(allowed))}")


def parse(text: str) -> TextTemplate:
    """Parse a template.  Raises BadTextTemplate."""
    parts, end = list[str | Variable](), 0
    for match in _PLACE.finditer(text):
        parts += [_plain(text[end : match.start()]), _variable(match[1])]
        end = match.end()
    parts.append(_plain(text[end:]))
    return TextTemplate(tuple(part for part in parts if part))


def _plain(text: str) -> str:
    if "{{" in text or "}}" in text:
        raise BadTextTemplate("has {{ or }} without the other; a variable is {{contact.name}}")
    return text


def _variable(inside: str) -> Variable:
    name, has_other, otherwise = inside.partition("|")
    name = name.strip()
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        raise BadTextTemplate(f"has {{{{{inside[:LONGEST_NAME]}}}}}, which is no variable; one is {{{{contact.name}}}}")
    return Variable(name, otherwise.strip() if has_other else None)


def render(template: TextTemplate, values: Mapping[str, str | None]) -> Rendered:
    """Substitute the values; an empty value counts as missing."""
    text, missing = list[str](), dict[str, None]()
    for part in template.parts:
        if isinstance(part, str):
            text.append(part)
        elif value := clean(values.get(part.name) or ""):
            text.append(value)
        elif part.otherwise is not None:
            text.append(part.otherwise)
        else:
            missing[part.name] = None
    return Rendered("".join(text), tuple(missing))


def clean(value: str) -> str:
    """Reduce a value to one line of bounded length."""
    return _CONTROL.sub(" ", value).strip()[:LONGEST_VALUE].strip()


def values_of(
    *, name: str | None, company: str | None, email: str | None, phone: str, organization: str, number: str
) -> Mapping[str, str | None]:
    """Return the values of the variables in `KNOWN`."""
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
