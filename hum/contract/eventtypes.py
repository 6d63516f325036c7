"""The types of events, read from the messages of hum.v1 with the option `event` (proto/hum/v1/events.proto).

`python -m hum.contract.eventtypes` prints docs/events.md; a test compares them.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor

from hum.contract import services
from hum.contract.comments import comment
from hum.json import names as jsonnames
from hum.v1 import options_pb2

#: The declared name of types that customers name themselves; the events' own names begin with `external.`.
EXTERNAL = "external.*"
#: The name of such an event.
EXTERNAL_NAME = r"external(\.[a-z0-9_]+)+"


class EventType(NamedTuple):
    """A type of event.  `version` is incremented when a field changes its meaning."""

    name: str
    version: int
    visible: bool
    #: With which a key may read it; empty for those that customers don't see.
    scope: str
    message: Descriptor


@cache
def of_message(message: Descriptor) -> EventType:
    """Return the event type of a message.  Raises AssertionError if it has none."""
    assert message.GetOptions().HasExtension(options_pb2.event), f"{message.full_name} has no (hum.v1.event) option"
    option = message.GetOptions().Extensions[options_pb2.event]
    return EventType(option.name, option.version, option.visible, option.scope, message)


@cache
def by_name() -> Mapping[str, EventType]:
    """Return all types by name."""
    declared = [of_message(message) for message in _messages()]
    types = {type.name: type for type in sorted(declared)}
    assert len(types) == len(declared), "two events have the same name"
    return types


def visible() -> list[str]:
    """Return the names of the types that customers may see."""
    return [type.name for type in by_name().values() if type.visible]


def is_visible(type: str) -> bool:
    """Return whether customers may see events of a type; one that they named counts, and so does `external.*`."""
    return type in visible() or re.fullmatch(EXTERNAL_NAME, type) is not None


def matches(pattern: str, type: str) -> bool:
    """Return whether `sms.received`, `sms.*` or `*` matches a type."""
    return pattern in {"*", type, f"{type.partition('.')[0]}.*"}


def kinds() -> list[str]:
    """Return the kinds of the visible types: `sms.*` for those that begin with `sms.`."""
    return sorted({f"{type.partition('.')[0]}.*" for type in visible()})


def family(type: str) -> str:
    """Return the name under which a type of event is declared: its own, or `external.*` for one that a customer named."""
    return EXTERNAL if type.startswith(EXTERNAL.removesuffix("*")) else type


def _messages() -> Iterator[Descriptor]:
    for file in services.files():
        for message in file.message_types_by_name.values():
            if message.GetOptions().HasExtension(options_pb2.event):
                yield message


def as_markdown() -> str:
    """Return docs/events.md: every type, its visibility, and its data."""
    lines = [
        "# Events",
        "",
        "Each change appends one event, in its own transaction. `GET /api/events` lists those that customers may see.",
        "This page is the output of `python -m hum.contract.eventtypes`; a test compares them.",
        "",
        "| type | version | visible to customers | scope | meaning | data |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for type in by_name().values():
        fields = ", ".join(f"`{jsonnames.rest_name(field)}`" for field in type.message.fields)
        visibility = "yes" if type.visible else "no"
        scope = f"`{type.scope}`" if type.scope else ""
        meaning = comment(type.message.full_name)
        lines.append(f"| `{type.name}` | {type.version} | {visibility} | {scope} | {meaning} | {fields} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
