"""The boundary's entries in the audit log: changes in an organization, and audited reads."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from hum.contract.principal import Principal
from storage.db import Tx

#: Appends a request and its answer to the audit log, in this transaction; the last argument is the request id.
Appender = Callable[[Tx, Principal, MethodDescriptor, Message, Message, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class AuditLog:
    """The audit log as the boundary writes it; the audit feature implements it, which imports the boundary."""

    append_change: Appender
    append_read: Appender
