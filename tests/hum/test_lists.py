"""Lists in requests: what is told of bad items must not cost more than sending them."""

import importlib
import pkgutil
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

import hum.v1
from hum.contract import validation
from hum.json import names
from hum.v1 import contacts_pb2, validate_pb2


def lists(descriptor: Descriptor, seen: set[str]) -> Iterator[FieldDescriptor]:
    """Yield the repeated fields of a message and of those in it."""
    if descriptor.full_name in seen or descriptor.file.package != "hum.v1":
        return
    seen.add(descriptor.full_name)
    for field in descriptor.fields:
        if field.is_repeated:
            yield field
        if (held := names.message_type(field)) is not None:
            yield from lists(held, seen)


def test_lists_whose_items_have_rules_are_bounded() -> None:
    seen, unbounded, count = set[str](), [], 0
    for module in pkgutil.iter_modules(hum.v1.__path__):
        if not module.name.endswith("_pb2"):
            continue
        file = importlib.import_module(f"hum.v1.{module.name}").DESCRIPTOR
        for service in file.services_by_name.values():
            for method in service.methods:
                for field in lists(method.input_type, seen):
                    rules = field.GetOptions().Extensions[validate_pb2.field]
                    if rules.repeated.HasField("items"):
                        count += 1
                        if not names.most_items(field):
                            unbounded.append(field.full_name)
    assert count > 10 and not unbounded


def test_of_a_list_that_is_too_long_only_that_is_said() -> None:
    contact = contacts_pb2.Contact(phone_e164="not a number", tags=[" "] * 51)
    (problem,) = validation.check(contacts_pb2.CreateContactRequest(contact=contact))
    assert problem == ("contact.tags", "must contain no more than 50 item(s)")
