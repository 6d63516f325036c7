"""Every sentence with which a person in the console is refused has a pattern in Spanish, and every pattern has a sentence.

A new sentence goes into a file of `console/src/i18n/refusals/es/`.  One that only machines meet is in a module of `MACHINES`.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import protovalidate
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from jsonschema import Draft202012Validator

from hum.contract import services
from hum.json import names, schemas
from hum.v1 import options_pb2, validate_pb2
from tests.house.refusals import Sources

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "console" / "src" / "i18n" / "refusals" / "es"
PAIR = re.compile(r'^  \[("(?:[^"\\]|\\.)*"), ("(?:[^"\\]|\\.)*")\],$', re.MULTILINE)
PLACE = re.compile(r"\{([a-z]+)\}")
#: What stands for a value in a sentence of ours.
VALUE = "<value>"

#: Modules, or functions in them, whose refusals no person meets in the console, and why.
MACHINES = {
    "control/boundary/authentication.py:node": "is told to another plane",
    "control/boundary/authentication.py:recognize": "is about a program that speaks gRPC",
    "control/boundary/method.py": "is about a program that speaks gRPC",
    "control/boundary/boundary.py:_only": "is about a program that speaks gRPC",
    "control/calls/carriersteps.py": "is told to the carrier",
    "control/calls/listenerstreams.py": "is told to another plane",
    "control/calls/orphans.py": "is for the log",
    "control/calls/reports.py": "is told to the media plane",
    "control/calls/sdp.py": "is about what the browser writes",
    "control/calls/session.py": "is told to the media plane",
    "control/clients/hostlookups.py": "comes while the process ends",
    "control/clients/twilio_media.py": "is for the log: a worker fetches files",
    "control/clients/twilio_texts.py": "is for the log: a worker asks",
    "control/identity/signin.py": "is on the page of the sign-in, which the gateway makes",
    "control/identity/usecases.py:create_organization": "is told at the command line",
    "control/identity/usecases.py:unlink_sign_in": "is told at the command line",
    "control/knowledge/converter.py": "is a document's state",
    "control/knowledge/converting.py": "is a document's state",
    "control/knowledge/jobs.py": "is a document's state",
    "control/mcp/pinning.py": "is a tool's state",
    "control/mcp/transport.py": "is a server's state",
    "control/mms/ingress.py": "is told to the carrier",
    "control/outbound/attempts.py": "is told to the carrier",
    "control/outbound/ingress.py": "is told to the carrier",
    "control/quarantine.py": "is told at the command line",
    "control/retention/organizations.py": "is told at the command line",
    "control/studio/drafts.py": "is told to the model",
    "control/texts/inboundtext.py": "is told to the carrier",
    "control/texts/posting.py": "is for the log: a worker asks",
    "control/texts/statuses.py": "is told to the carrier",
    "control/transfers/transferleg.py": "is told to the carrier",
    "control/triggers/ingress.py": "is told to a sender of webhooks",
    "gateway/auth.py": "is on the page of the sign-in, which the gateway makes",
    "gateway/forms.py": "is told to programs that send forms",
    "gateway/hooks.py": "is told to a sender of webhooks",
    "gateway/mcpserver/": "is told to an agent at /mcp",
    "gateway/signedforms.py": "is told to the carrier",
    "gateway/stripe.py": "is told to the payment provider",
    "gateway/texts.py": "is told to the carrier",
    "hum/objects/bucket.py": "is for the log",
    "hum/objects/multipart.py": "is for the log",
    "hum/process/": "is told at the start of a process",
    "storage/identity.py:person_for_site_admin": "is told at the command line",
}
#: Sentences that begin or end with another one: the ones that are made of them.
MADE = {
    "{}; retry in {} s.": (
        "Too many requests; retry in {} s.",
        "Too many requests from your organization; retry in {} s.",
        "Too many sign-ins or unknown credentials from your address; retry in {} s.",
        "Your organization has stored too much in too short a time; retry in {} s.",
    ),
    "{}, which is the limit; close one first.": (
        "This credential has {} open streams, which is the limit; close one first.",
        "Your organization has {} open streams, which is the limit; close one first.",
    ),
    "{} (line {}).": (),
}
#: What is said elsewhere than in a refusal's own words.
FURTHER = {
    "The plan {} allows {} {}; {} are used. The next period begins 2026-08-01; the plan {} allows more.": "limits.py",
    "has the name {}: must be more than spaces": "schemas.py",
    "is not CSV: {}": "csvfiles.py, in the header's reason",
    "the carrier's rate limit is reached": "errors.py, CarrierBusy",
}
#: Values that break each rule of JSON Schema.
BROKEN: tuple[tuple[dict[str, Any], Any], ...] = (
    ({"type": "string"}, 1),
    ({"type": ["string", "null"]}, 1),
    ({"required": ["a"]}, {}),
    ({"additionalProperties": False}, {"a": 1}),
    ({"additionalProperties": False}, {"a": 1, "b": 2}),
    ({"enum": ["a", "b"]}, 1),
    ({"const": "a"}, 1),
    ({"minLength": 1}, ""),
    ({"minLength": 3}, "a"),
    ({"maxLength": 3}, "long"),
    ({"maxLength": 0}, "long"),
    ({"minimum": 3}, 1),
    ({"maximum": 3}, 5),
    ({"exclusiveMinimum": 3}, 3),
    ({"exclusiveMaximum": 3}, 3),
    ({"multipleOf": 2}, 3),
    ({"minItems": 1}, []),
    ({"maxItems": 1}, [1, 2]),
    ({"uniqueItems": True}, [1, 1]),
    ({"contains": {"type": "string"}}, [1]),
    ({"minProperties": 2}, {"a": 1}),
    ({"maxProperties": 1}, {"a": 1, "b": 2}),
    ({"propertyNames": {"pattern": "x"}}, {"a": 1}),
    ({"pattern": "x"}, "a"),
    ({"dependentRequired": {"a": ["b"]}}, {"a": 1}),
    ({"oneOf": [{"type": "string"}, {"type": "number"}]}, []),
    ({"oneOf": [{}, {}]}, 1),
    ({"anyOf": [{"type": "string"}]}, 1),
    ({"not": {}}, 1),
)
#: Rules that say nothing themselves.
SILENT = {"format", "properties", "items", "allOf"}


def pairs() -> list[tuple[str, str]]:
    text = "\n".join(file.read_text() for file in sorted(TABLES.glob("*.ts")))
    found = [(json.loads(pattern), json.loads(words)) for pattern, words in PAIR.findall(text)]
    # Each line of the tables is read.
    assert len(found) == text.count("\n  ["), 'a sentence is one line: ["pattern", "translation"],'
    return found


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    literals = PLACE.split(pattern)[::2]
    return re.compile("(.*?)".join(map(re.escape, literals)), re.DOTALL)


def said() -> dict[str, str]:
    """Return the sentences that people meet, each with a place that says it."""
    found = {
        sentence.text: sentence.place for sentence in Sources(ROOT).sentences() if not is_for_machines(sentence.place)
    }
    for text, place in tuple(found.items()):
        if place == "control/httptools/templates.py:_refusal":
            found[text + " (line {})."] = found.pop(text)
    for text, sentences in MADE.items():
        found |= dict.fromkeys(sentences, found.pop(text))
    words = (f"must be {word}" for word in (*must_be_of_fields(), *must_be_of_schemas()))
    return (
        found | FURTHER | dict.fromkeys([*of_protovalidate(), *of_json_schema(), *words], "hum/contract/validation.py")
    )


def is_for_machines(place: str) -> bool:
    return any(place.startswith(module) for module in MACHINES)


def messages() -> Iterator[Descriptor]:
    waiting = [message for file in services.files() for message in file.message_types_by_name.values()]
    for message in waiting:
        waiting += message.nested_types
        yield message


def fields() -> Iterator[FieldDescriptor]:
    yield from (field for message in messages() if not message.GetOptions().map_entry for field in message.fields)


def must_be_of_fields() -> Iterator[str]:
    yield from filter(None, (field.GetOptions().Extensions[options_pb2.must_be] for field in fields()))


def must_be_of_schemas() -> Iterator[str]:
    for part in schema_parts():
        if schemas.PATTERN_IN_WORDS in part:
            yield part[schemas.PATTERN_IN_WORDS]


def schema_parts() -> Iterator[dict[str, Any]]:
    parts: list[Any] = [schemas.schema(name) for name in schemas.names()]
    for part in parts:
        parts += part.values() if isinstance(part, dict) else part if isinstance(part, list) else []
        if isinstance(part, dict):
            yield part


def of_json_schema() -> Iterator[str]:
    for schema, value in BROKEN:
        yield from (error.message for error in Draft202012Validator(schema).iter_errors(value))


def of_protovalidate() -> Iterator[str]:
    """Yield what protovalidate says of values that break the rules of our fields."""
    for field in fields():
        rules = field.GetOptions().Extensions[validate_pb2.field]
        for value in broken_values(field, rules):
            yield from complaints(with_value(field, value))
    for message in messages():
        yield from complaints(message_factory.GetMessageClass(message)())


def complaints(message: Message) -> Iterator[str]:
    violations = (violation.proto for violation in protovalidate.collect_violations(message))
    yield from (violation.message for violation in violations if violation.rule_id != "string.pattern")


def broken_values(field: FieldDescriptor, rules: Any) -> Iterator[Any]:
    most = names.most_items(field)
    if most and not names.is_map(field) and field.message_type is None:
        yield [""] * (most + 1)
    rules = rules.repeated.items if field.is_repeated else rules
    if rules.string.max_len or rules.string.max_bytes:
        yield "x" * (max(rules.string.max_len, rules.string.max_bytes) + 1)
    if rules.string.min_len and field.has_presence:
        yield ""
    if rules.HasField("enum"):
        yield from (9999, *rules.enum.not_in)
    for numbers in (rules.int32, rules.int64):
        yield from [numbers.gte - 1] if numbers.HasField("gte") else []
        yield from [numbers.lte + 1] if numbers.HasField("lte") else []


def with_value(field: FieldDescriptor, value: Any) -> Message:
    assert field.containing_type is not None
    message = message_factory.GetMessageClass(field.containing_type)()
    if not field.is_repeated:
        setattr(message, field.name, value)
    elif not names.is_map(field):
        getattr(message, field.name).extend(value if isinstance(value, list) else [value])
    return message


def is_made_of(pattern: str, text: str, place: str) -> bool:
    """Tell whether a sentence is made of a pattern: of one of our own, only the values are in the pattern's places."""
    match = compiled(pattern).fullmatch(text.replace("{}", VALUE))
    is_own = ":" in place
    return match is not None and (not is_own or all(VALUE in value for value in match.groups()))


def test_every_sentence_is_said_in_spanish_too() -> None:
    table = [pattern for pattern, _ in pairs()]
    missing = {
        text: place for text, place in said().items() if not any(is_made_of(pattern, text, place) for pattern in table)
    }
    assert missing == {}, "add these to console/src/i18n/refusals/es"


def test_every_pattern_is_said() -> None:
    sentences = said().items()
    unsaid = [
        pattern for pattern, _ in pairs() if not any(is_made_of(pattern, text, place) for text, place in sentences)
    ]
    assert unsaid == [], "remove these from console/src/i18n/refusals/es"


def test_a_translation_has_the_places_of_its_pattern() -> None:
    assert len(pairs()) == len(dict(pairs()))
    for pattern, words in pairs():
        assert sorted(PLACE.findall(pattern)) == sorted(PLACE.findall(words)), pattern
        assert len(set(PLACE.findall(pattern))) == len(PLACE.findall(pattern)), pattern


def test_what_is_left_out_is_still_there() -> None:
    places = {sentence.place for sentence in Sources(ROOT).sentences()}
    assert [module for module in MACHINES if not any(place.startswith(module) for place in places)] == []
    kinds = {word for part in schema_parts() for word in part if word in Draft202012Validator.VALIDATORS}
    assert kinds - SILENT - {word for schema, _ in BROKEN for word in schema} == {"$ref"} & kinds
