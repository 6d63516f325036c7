"""Messages as events and JSON columns keep them, and back."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from control.base.wire import moment, value
from hum.v1 import calls_pb2, options_pb2
from hum.validation import bad_json


def facts_of(message: Any) -> dict[str, Any]:
    """A message's fields as an event keeps them: plain values, enums as words, nothing for what is unset."""
    facts: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        stored = getattr(message, field.name)
        if field.enum_type is not None:
            stored = field.enum_type.values_by_number[stored].name.removeprefix("SPEAKER_").lower()
        elif field.message_type is not None:
            stored = moment(stored).isoformat()  # the only messages inside are times
        elif field.GetOptions().Extensions[options_pb2.raw_json] and bad_json(stored):
            stored = json.dumps(stored)  # a model or a tool said something that is no JSON: keep it as a string
        facts[field.name] = stored
    return facts


def message_of(message: Any, facts: Mapping[str, Any]) -> Any:
    """The other way round, into an empty message.  Members of a later release are passed over."""
    for field in message.DESCRIPTOR.fields:
        if (stored := facts.get(field.name)) is None:
            continue
        if field.enum_type is not None:
            setattr(message, field.name, value(calls_pb2.Speaker, stored))
        elif field.message_type is not None:
            getattr(message, field.name).FromDatetime(datetime.fromisoformat(stored))
        else:
            setattr(message, field.name, stored)
    return message
