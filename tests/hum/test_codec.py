"""The codec, whole: random messages of every type of `hum.v1`, and of a type that has a field of every kind, are written
as protobuf's own JSON is, up to the differences that are listed here, and are read back as they were.
"""

import json
import math
from collections.abc import Callable
from typing import Any, cast

import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from hum.contract import wire
from hum.contract.errors import FieldError
from hum.contract.services import files
from hum.json import names as jsonnames
from hum.json import values as jsonvalues
from hum.json.values import FLOATS, INTEGERS, Unsupported
from tests.hum.everything import KIND, SCALARS, Everything, add, add_map, build, file
from tests.support.examples import examples, sample
from tests.support.present import present


def types(descriptors: Any) -> list[Descriptor]:
    """Message types and those nested in them, without the entries of maps."""
    return [
        found for each in descriptors if not each.GetOptions().map_entry for found in (each, *types(each.nested_types))
    ]


CONTRACT = [each for one in files() for each in types(one.message_types_by_name.values())]
EVERY = [*CONTRACT, Everything.DESCRIPTOR]
#: The last has a field of every kind; of the contract, `make test` takes a sample.
TRIED = [*sample(CONTRACT, 10), Everything.DESCRIPTOR]

# --- random messages ----------------------------------------------------------------------------------------------

DEEPEST = 2
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 53), 1 << 53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.type in INTEGERS:
        return st.integers(*INTEGERS[field.type])
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return st.floats()
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return st.floats(width=32)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if jsonnames.is_raw_json(field):
        return (st.dictionaries(st.text(max_size=5), JSON, max_size=3) | st.lists(JSON, max_size=3)).map(json.dumps)
    return st.binary(max_size=9) if field.type == FieldDescriptor.TYPE_BYTES else st.text(max_size=9)


def fill_well_known(draw: Callable[[Any], Any], into: Any) -> bool:
    kind = into.DESCRIPTOR.full_name.removeprefix("google.protobuf.")
    if kind == "Timestamp":
        into.seconds, into.nanos = draw(st.integers(-62135596800, 253402300799)), draw(st.integers(0, 999_999_999))
    elif kind == "Duration":
        seconds = draw(st.integers(-315_576_000_000, 315_576_000_000))
        into.seconds, into.nanos = seconds, draw(st.integers(0, 999_999_999)) * (-1 if seconds < 0 else 1)
    elif kind == "FieldMask":
        into.paths.extend(draw(st.lists(st.sampled_from(["name", "time_zone", "a.b_c"]), max_size=3)))
    elif kind in {"Struct", "ListValue", "Value"}:
        bodies = {
            "Struct": st.dictionaries(st.text(max_size=5), JSON, max_size=3),
            "ListValue": st.lists(JSON, max_size=3),
        }
        json_format.ParseDict(draw(bodies.get(kind, JSON)), into)
    elif into.DESCRIPTOR.file.name == "google/protobuf/wrappers.proto":
        into.value = draw(scalars(into.DESCRIPTOR.fields_by_name["value"]))
    else:
        return False
    return True


def fill(draw: Callable[[Any], Any], into: Any, depth: int = 0) -> None:
    if fill_well_known(draw, into):
        return
    fields = [each for each in into.DESCRIPTOR.fields if depth < DEEPEST or each.message_type is None]
    if len(fields) > 12:  # of many, some: else one example fills a hundred fields
        fields = draw(st.lists(st.sampled_from(fields), max_size=12, unique_by=lambda each: each.name))
    for field in fields:
        held = getattr(into, field.name)
        if jsonnames.is_map(field):
            entry = present(field.message_type).fields_by_name
            for key in draw(st.lists(scalars(entry["key"]), max_size=2)):
                if entry["value"].message_type is not None:
                    fill(draw, held[key], depth + 1)
                else:
                    held[key] = draw(scalars(entry["value"]))
        elif field.is_repeated and field.message_type is not None:
            for _ in range(draw(st.integers(0, 2))):
                fill(draw, held.add(), depth + 1)
        elif field.is_repeated:
            held.extend(draw(st.lists(scalars(field), max_size=2)))
        elif not draw(st.booleans()):
            continue
        elif field.message_type is not None:
            held.SetInParent()
            fill(draw, held, depth + 1)
        else:
            setattr(into, field.name, draw(scalars(field)))


@st.composite
def messages(draw: Any, descriptor: Descriptor) -> Any:
    message = message_factory.GetMessageClass(descriptor)()
    fill(draw, message)
    return message


# --- protobuf's JSON, and what is different here ------------------------------------------------------------------


def as_protobuf_writes(message: Message) -> Any:
    """The message as json_format writes it, with these differences:

    1. names: `(hum.v1.rest_name)` and `json_name` (`from`, not `from_e164`);
    2. what is unset is null; json_format leaves out fields with presence, oneofs and messages that are unset;
    3. enums are lower-case words without prefix; the unspecified value, and one that the contract lacks, are null;
    4. 64-bit integers are numbers; json_format writes strings for JavaScript's sake;
    5. NaN and infinities are null; json_format writes "NaN", which is no number in anybody's schema;
    6. a `(hum.v1.raw_json)` string is the JSON that it holds, null when empty;
    7. a mask has proto names; json_format writes lowerCamelCase;
    8. a `(hum.v1.as_input)` message is without the members that only HUM writes.
    """
    descriptor = cast("Descriptor", message.DESCRIPTOR)
    if (known := well_known(message)) is not None:
        return known[0]
    written = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    written = {jsonnames.rest_name(each): member(message, each, written.get(each.name)) for each in descriptor.fields}
    for field in descriptor.fields:
        if jsonnames.is_as_input(field) and (inner := written[jsonnames.rest_name(field)]) is not None:
            for each in filter(jsonnames.is_read_only, present(field.message_type).fields):
                inner.pop(jsonnames.rest_name(each))
    return written


def member(message: Any, field: FieldDescriptor, written: Any) -> Any:
    held = getattr(message, field.name)
    if jsonnames.is_map(field):
        value = present(field.message_type).fields_by_name["value"]
        return {
            (str(key).lower() if isinstance(key, bool) else str(key)): one(
                value, held[key], written[key_of(written, key)]
            )
            for key in held
        }
    if field.is_repeated:
        return [one(field, each, text) for each, text in zip(held, written, strict=True)]
    if field.has_presence and not message.HasField(field.name):
        return None
    return one(field, held, written)


def key_of(written: dict[Any, Any], key: Any) -> Any:
    """A map's key as json_format writes it."""
    return next(each for each in (str(key).lower() if isinstance(key, bool) else str(key), key) if each in written)


def one(field: FieldDescriptor, value: Any, written: Any) -> Any:
    if field.message_type is not None:
        return as_protobuf_writes(value)
    if field.enum_type is not None:
        return next((word for word, number in jsonnames.enum_words(field.enum_type).items() if number == value), None)
    if jsonnames.is_raw_json(field):
        return json.loads(value) if value else None
    if field.type in INTEGERS:
        return int(written)
    if field.type in FLOATS:
        return None if not math.isfinite(value) else written
    return written


def well_known(message: Any) -> tuple[Any] | None:
    kind = message.DESCRIPTOR.full_name
    if kind == "google.protobuf.FieldMask":
        return (",".join(message.paths),)
    if message.DESCRIPTOR.file.name == "google/protobuf/wrappers.proto":
        field = message.DESCRIPTOR.fields_by_name["value"]
        return (one(field, message.value, json_format.MessageToDict(message)),)
    return (json_format.MessageToDict(message),) if jsonvalues.plain_writer(message.DESCRIPTOR) is not None else None


def forget(message: Any) -> None:
    """Remove from a message what is not read back: what is written as null, and what clients can't write."""
    if jsonvalues.plain_writer(message.DESCRIPTOR) is not None:
        return
    for field in message.DESCRIPTOR.fields:
        held = getattr(message, field.name)
        if jsonnames.is_read_only(field):
            message.ClearField(field.name)
        elif jsonnames.is_map(field):
            value = present(field.message_type).fields_by_name["value"]
            for key in [key for key in held if null(value, held[key])]:
                del held[key]
            if value.message_type is not None:
                for key in held:
                    forget(held[key])
        elif field.is_repeated:
            kept = [each for each in held if not null(field, each)]
            if field.message_type is None:
                held[:] = kept
            else:
                copies = [type(each).FromString(each.SerializeToString()) for each in kept]
                del held[:]
                held.extend(copies)
                for each in held:
                    forget(each)
        elif field.message_type is not None:
            if message.HasField(field.name):
                if null(field, held):
                    message.ClearField(field.name)
                else:
                    forget(held)
        elif null(field, held):
            message.ClearField(field.name)


def null(field: FieldDescriptor, value: Any) -> bool:
    """Tell whether a value is written as null."""
    if field.message_type is not None:
        known = well_known(value)
        return known is not None and known[0] is None
    if field.enum_type is not None:
        return value not in jsonnames.enum_words(field.enum_type).values()
    if jsonnames.is_raw_json(field):
        return not value
    return field.type in FLOATS and not math.isfinite(value)


@pytest.mark.sampled
@pytest.mark.parametrize("descriptor", TRIED, ids=lambda each: each.name)
def test_messages_are_written_as_protobuf_writes_them_and_read_back(descriptor: Descriptor) -> None:
    @settings(
        max_examples=examples(400, 40) if descriptor is Everything.DESCRIPTOR else examples(12, 3),
        deadline=None,
        database=None,
    )
    @given(messages(descriptor))
    def check(message: Message) -> None:
        written = wire.write(message)
        assert json.loads(written) == as_protobuf_writes(message)
        forget(message)
        back, problems = type(message)(), list[FieldError]()
        names = wire.read_body(without_read_only(message), back, problems)
        assert problems == []
        assert back == message
        assert wire.write(back) == wire.write(message)
        assert set(names) == {each.name for each in descriptor.fields if not jsonnames.is_read_only(each)}

    check()


def without_read_only(message: Message) -> bytes:
    """A message's JSON as a client sends it: without the members that only HUM writes."""
    return json.dumps(trim(cast("Descriptor", message.DESCRIPTOR), json.loads(wire.write(message)))).encode()


def trim(descriptor: Descriptor, written: Any) -> Any:
    if written is None or jsonvalues.plain_writer(descriptor) is not None:
        return written
    for field in descriptor.fields:
        name, inner = jsonnames.rest_name(field), jsonnames.message_type(field)
        if jsonnames.is_read_only(field):
            written.pop(name, None)
        elif inner is None:
            continue
        elif jsonnames.is_map(field):
            written[name] = {key: trim(inner, each) for key, each in written[name].items()}
        elif field.is_repeated:
            written[name] = [trim(inner, each) for each in written[name]]
        else:
            written[name] = trim(inner, written[name])
    return written


# --- bad values, by their path ------------------------------------------------------------------------------------


def problems_of(text: str) -> list[tuple[str, str]]:
    problems: list[FieldError] = []
    wire.read_body(text.encode(), Everything(), problems)
    return [(each.field, each.reason) for each in problems]


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ('{"many_itself": [{}, {"one_int32": "x"}]}', "many_itself[1].one_int32", "must be a whole number"),
        ('{"many_itself": [{}, 7]}', "many_itself[1]", "must be an object"),
        ('{"many_itself": [null]}', "many_itself[0]", "must be an object"),
        ('{"many_itself": {}}', "many_itself", "must be a list"),
        ('{"map_itself": {"a.b": {"one_bool": 3}}}', 'map_itself["a.b"].one_bool', "must be true or false"),
        ('{"map_itself": []}', "map_itself", "must be an object"),
        ('{"map_string": {"a": null}}', 'map_string["a"]', "must be a string"),
        ('{"by_int32": {"01": {}}}', 'by_int32["01"]', "must be a whole number without leading zeros"),
        ('{"by_uint32": {"-1": {}}}', 'by_uint32["-1"]', "must be between 0 and 4294967295"),
        ('{"by_bool": {"yes": {}}}', 'by_bool["yes"]', "must be one of true, false"),
        ('{"many_colour": ["red", "green"]}', "many_colour[1]", "must be one of red, dark_blue"),
        ('{"many_timestamp": ["2026-02-30T00:00:00Z"]}', "many_timestamp[0]", "must be a time such as 2026-02-01T09:00:00Z"),
        ('{"many_timestamp": ["2026-02-01T00:00:00.\u0663Z"]}', "many_timestamp[0]", "must be a time such as 2026-02-01T09:00:00Z"),
        ('{"one_duration": "90"}', "one_duration", "must be a duration in seconds such as 1.5s"),
        ('{"one_double": "1.5"}', "one_double", "must be a number"),
        ('{"one_double": "NaN"}', "one_double", "must be a number"),
        ('{"one_double": true}', "one_double", "must be a number"),
        ('{"one_double": 1e400}', "one_double", "is out of range"),
        ('{"one_float": 1e39}', "one_float", "is out of range"),
        ('{"one_int64": 9223372036854775808}', "one_int64", "must be between -9223372036854775808 and 9223372036854775807"),
        ('{"one_uint64": -1}', "one_uint64", "must be between 0 and 18446744073709551615"),
        ('{"one_int64": "5"}', "one_int64", "must be a whole number"),
        ('{"one_bytes": "a$=="}', "one_bytes", "must be base64"),
        ('{"one_struct": []}', "one_struct", "must be an object"),
        ('{"one_listvalue": {}}', "one_listvalue", "must be a list"),
        ('{"one_int32value": "x"}', "one_int32value", "must be a whole number"),
        ('{"many_json": [{}, 5]}', "many_json[1]", "must be an object, an array, or a string that holds one"),
        ('{"choice_text": "a", "choice_time": "2026-02-01T09:00:00Z"}', "choice_time", "can't be set together with choice_text"),
    ],
)  # fmt: skip
def test_bad_values_are_named_by_their_path(text: str, path: str, reason: str) -> None:
    assert problems_of(text) == [(path, reason)]


@pytest.mark.parametrize("name", ["one_" + name for name in SCALARS if "int" in name or "fixed" in name])
def test_integers_reach_to_both_ends_and_no_further(name: str) -> None:
    least, most = {
        "u32": (0, (1 << 32) - 1),
        "u64": (0, (1 << 64) - 1),
        "s32": (-(1 << 31), (1 << 31) - 1),
        "s64": (-(1 << 63), (1 << 63) - 1),
    }[("u" if name.startswith(("one_u", "one_fixed")) else "s") + name[-2:]]
    for end in (least, most):
        message = Everything(**{name: end})
        assert f'"{name}":{end},'.encode() in wire.write(message)
        back = Everything()
        wire.read_body(f'{{"{name}": {end}}}'.encode(), back, [])
        assert back == message
    for beyond in (least - 1, most + 1):
        assert problems_of(f'{{"{name}": {beyond}}}') == [(name, f"must be between {least} and {most}")]


@pytest.mark.parametrize("text", ["+/8=", "-_8=", "-_8", "+/8"])
def test_bytes_are_read_in_both_alphabets(text: str) -> None:
    message = Everything()
    wire.read_body(json.dumps({"one_bytes": text}).encode(), message, [])
    assert message.one_bytes == b"\xfb\xff"
    assert b'"one_bytes":"+/8="' in wire.write(message)


def test_depth_is_bounded() -> None:
    nested = '{"one_itself":' * 40 + "{}" + "}" * 40
    (problem,) = problems_of(nested)
    assert problem == (".".join(["one_itself"] * 33), "is nested deeper than 32 levels")
    assert problems_of('{"one_itself":' * 32 + "{}" + "}" * 32) == []
    assert problems_of('{"one_struct": ' + '{"a":' * 40 + "1" + "}" * 41) == [
        ("one_struct", "is nested deeper than 32 levels")
    ]


def test_problems_are_bounded() -> None:
    assert len(problems_of('{"many_int32": [' + ",".join(['"x"'] * 5000) + "]}")) == wire.MOST_PROBLEMS
    key = "k" * 5000
    (problem,) = problems_of(f'{{"map_int32": {{"{key}": "x"}}}}')
    assert len(problem[0]) < 120


def test_a_bad_item_keeps_its_place() -> None:
    message, problems = Everything(), list[FieldError]()
    wire.read_body(b'{"many_string": [1, "b"], "many_duration": ["x", "2s"]}', message, problems)
    assert [each.field for each in problems] == ["many_string[0]", "many_duration[0]"]
    assert list(message.many_string) == ["", "b"]
    assert [each.seconds for each in message.many_duration] == [0, 2]


@given(st.dictionaries(st.sampled_from([each.name for each in Everything.DESCRIPTOR.fields]), JSON, max_size=4))
@settings(deadline=None)
def test_no_value_breaks_a_reader(body: dict[str, Any]) -> None:
    problems: list[FieldError] = []
    wire.read_body(json.dumps(body).encode(), Everything(), problems)
    assert all(any(each.field.startswith(name) for name in body) for each in problems)


def test_queries_hold_every_scalar_and_time() -> None:
    message, problems = Everything(), list[FieldError]()
    texts = {
        "one_double": "-1.5e3", "one_uint64": "18446744073709551615", "many_colour": "dark_blue", "one_bytes": "aGk",
        "one_duration": "1.5s", "many_timestamp": "2026-02-01T09:00:00Z", "one_int64value": "7", "one_boolvalue": "1",
    }  # fmt: skip
    for name, text in texts.items():
        wire.read_query(Everything.DESCRIPTOR.fields_by_name[name], [text], message, problems)
    assert problems == []
    assert (message.one_double, message.one_uint64, list(message.many_colour)) == (-1500.0, (1 << 64) - 1, [2])
    assert (message.one_bytes, message.one_duration.nanos, message.one_int64value.value) == (b"hi", 500_000_000, 7)
    assert (message.many_timestamp[0].seconds, message.one_boolvalue.value) == (1769936400, True)
    for name, text in {"one_double": "nan", "one_float": "1e99", "one_int64value": "x", "one_int32": "\u0663"}.items():
        wire.read_query(Everything.DESCRIPTOR.fields_by_name[name], [text], message, problems)
    assert [each.field for each in problems] == ["one_double", "one_float", "one_int64value", "one_int32"]


# --- what can't be carried ----------------------------------------------------------------------------------------


def refusal(name: str, **fields: str) -> str:
    """The error at start for a contract whose message `Bad` has these fields, nested two levels deep."""
    made = file(f"tests/{name}.proto", f"hum.test.{name}")
    made.dependency.append("google/protobuf/any.proto")
    plain = made.enum_type.add(name="Plain")
    plain.value.add(name="OFF", number=0)
    bad = made.message_type.add(name="Bad")
    for field, type in fields.items():
        add(bad, field, type)
    outer = made.message_type.add(name="Outer")
    add_map(outer, "held", "string", f".{made.package}.Bad", made.package)
    found = cast("Descriptor", build(made, "Outer").DESCRIPTOR)
    with pytest.raises(Unsupported) as error:
        wire.require_supported([found])
    return str(error.value)


def test_what_json_cannot_carry_is_refused_by_name() -> None:
    assert refusal("one", thing=".google.protobuf.Any") == (
        "hum.test.one.Bad.thing is a google.protobuf.Any, which JSON can't represent"
    )
    assert refusal("two", mode="enum .hum.test.two.Plain").startswith("hum.test.two.Bad.mode is a hum.test.two.Plain")


def test_two_fields_of_one_name_and_raw_json_that_is_no_text_are_refused() -> None:
    from hum.v1 import options_pb2

    made = file("tests/three.proto", "hum.test.three")
    bad = made.message_type.add(name="Bad")
    add(bad, "from", "string")
    add(bad, "from_e164", "string").options.Extensions[options_pb2.rest_name] = "from"
    with pytest.raises(Unsupported, match=r"hum\.test\.three\.Bad\.from_e164 has the same name in JSON as from"):
        wire.require_supported([cast("Descriptor", build(made, "Bad").DESCRIPTOR)])
    made = file("tests/four.proto", "hum.test.four")
    bad = made.message_type.add(name="Bad")
    add(bad, "data_json", "bytes").options.Extensions[options_pb2.raw_json] = True
    with pytest.raises(Unsupported, match=r"hum\.test\.four\.Bad\.data_json is raw_json but not a string"):
        wire.require_supported([cast("Descriptor", build(made, "Bad").DESCRIPTOR)])


@pytest.mark.parametrize("name", ["one_itself", "many_itself", "map_string", "one_struct", "one_value"])
def test_what_a_query_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(Unsupported, match=name):
        wire.require_in_query(Everything.DESCRIPTOR.fields_by_name[name])


def test_everything_and_the_contract_are_carried() -> None:
    assert KIND.TYPE_BYTES in {each.type for each in Everything.DESCRIPTOR.fields}
    wire.require_supported(EVERY)
