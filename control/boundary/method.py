"""An RPC of the contract, with its options."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.api import annotations_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message

from hum.contract import authorization
from hum.contract.errors import FieldError, InvalidRequest
from hum.v1 import options_pb2


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC and the servicer's method behind it."""

    descriptor: MethodDescriptor
    access: options_pb2.Access
    mutates: bool
    request_type: type[Message]
    response_type: type[Message]
    handler: Callable[..., Any]

    @classmethod
    def of(cls, descriptor: MethodDescriptor, servicer: object) -> "Method":
        """Return a servicer's method.

        Raises AssertionError or AttributeError without an access option or a handler: a bug.
        """
        return cls(descriptor, *_options(descriptor), handler=getattr(servicer, descriptor.name))

    def read(self, message: bytes) -> Message:
        """Parse a request from the bytes that a client sent.  Raises InvalidRequest."""
        try:
            return self.request_type.FromString(message)
        except DecodeError as error:
            bad = FieldError("", f"is not a {self.descriptor.input_type.full_name} in protobuf's wire format")
            raise InvalidRequest([bad]) from error

    @property
    def name(self) -> str:
        return f"/{self.descriptor.containing_service.full_name}/{self.descriptor.name}"

    @property
    def for_nodes(self) -> bool:
        """Whether other planes call this method, and tenants never do."""
        return self.access.audience == options_pb2.AUDIENCE_NODE

    @property
    def planes(self) -> set[str]:
        """The planes that may call this method, by the names in their node identities."""
        return {options_pb2.Plane.Name(plane).removeprefix("PLANE_").lower() for plane in self.access.planes}

    @property
    def stores(self) -> bool:
        """Whether the method may store something: some read by POST."""
        return self.mutates and not self.access.scope.endswith(":read")

    @property
    def ends(self) -> bool:
        """Whether the method ends something, and so is not refused for what the organization has stored."""
        return self.access.ends or self.descriptor.GetOptions().Extensions[annotations_pb2.http].HasField("delete")

    @property
    def personal(self) -> bool:
        """Whether the method serves a signed-in person, who needs no organization for it."""
        return self.access.audience == options_pb2.AUDIENCE_SIGNED_IN


@cache
def _options(descriptor: MethodDescriptor) -> tuple[options_pb2.Access, bool, type[Message], type[Message]]:
    """Return a method's access option, whether it mutates, and the types of its request and response."""
    options = descriptor.GetOptions()
    if not options.HasExtension(options_pb2.access):
        raise AssertionError(f"{descriptor.full_name} has no (hum.v1.access) option")
    access = authorization.access_of(descriptor)
    if (access.audience == options_pb2.AUDIENCE_NODE) != bool(access.planes):
        raise AssertionError(f"{descriptor.full_name}: exactly the methods for nodes must name planes")
    return (
        access,
        not options.Extensions[annotations_pb2.http].get,
        message_factory.GetMessageClass(descriptor.input_type),
        message_factory.GetMessageClass(descriptor.output_type),
    )
