"""A call's snapshot: plain values, from which a process of this release or another one restores the call.

A snapshot is a table.  Each object of this plane, and each container, is one row of it, in which the others stand by number:
an object by the name of its class (`media/handover/kinds.py`) and its fields by theirs, a bound method by its object and name.

A call is restored as it began.  The constructor of its core makes all its machines, wired to each other; then their fields
are set one by one.  An object that no constructor has made is made by its own, from the fields with the names of its
parameters.  So releases that differ in a field understand each other: a field that the snapshot lacks keeps the value that a
new call begins with, and one that this release lacks is dropped.

Resources that all calls of a process share (the detector's network, the thread that writes files) stand in a snapshot by name,
and are the reader's own.  State that can't be read out is lost: webrtcvad's noise model starts afresh, as in a new call.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path, PosixPath
from types import BuiltinMethodType, MethodType
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import webrtcvad

from media.core.conversation import Conversation
from media.handover.kinds import constructor, fields_of, is_frozen, kinds
from media.io.filework import FileThread, FileWork, InlineFileWork
from media.io.silero import Network, Silero

#: Raise by 1 with every change of the moved state or its meaning (tests/media/handover/test_shape.py fails first).
VERSION = 26
#: The oldest version that understands this one's snapshots and is understood here.  Make it `VERSION` where a change is more
#: than a field that comes or goes: where a field's meaning changes, or a new call's value would be wrong for one under way.
SINCE = 24

_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
_ABSENT: Final = object()


class NotMovable(Exception):  # noqa: N818 - it says what is wrong
    """The state refers to an object that can't stand in a snapshot, or the snapshot can't be read here."""


class Shared(NamedTuple):
    """What all calls of this process share."""

    network: Network | None
    files: FileWork


class _Table(msgspec.Struct, array_like=True):
    """A snapshot: by class its name and fields' names, and the rows, of which the first is the state.

    A row is its form and its contents.  The form of an object is its class's number.
    """

    classes: list[tuple[str, list[str]]]
    rows: list[tuple[int | str, Any]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Table).decode


def is_understood(version: int, since: int) -> bool:
    """Whether a process of this version, which understands those from `since` on, and this one understand each other."""
    return since <= VERSION if version > VERSION else version >= SINCE


def pack(state: object) -> bytes:
    """Return the snapshot of a state.  Raises NotMovable."""
    writer = _Writer()
    try:
        writer.write(state)
        return _encode(_Table([(name, fields) for _, name, fields in writer.classes.values()], writer.rows))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise NotMovable(str(error)) from error


def unpack(data: bytes, shared: Shared) -> Any:
    """Restore the state of a snapshot.  Raises NotMovable."""
    try:
        table = _decode(data)
        return _Reader(table, shared).read([0])
    except (TypeError, ValueError, AttributeError, LookupError, RecursionError) as error:
        raise NotMovable(str(error)) from error


def _is_ours(kind: Any) -> bool:
    return kinds().get(kind.__name__) is kind


class _Writer:
    """The writer of one snapshot."""

    def __init__(self) -> None:
        self.classes: dict[type, tuple[int, str, list[str]]] = {}
        self.rows: list[tuple[int | str, Any]] = []
        #: By identity the number of an object's row, and the object itself, whose identity no other may get meanwhile.
        self._written: dict[int, tuple[int, object]] = {}

    def write(self, value: Any) -> Any:
        """Return a plain value itself, and for anything else the number of its row in a list."""
        if type(value) in _PLAIN:
            return value
        found = self._written.get(id(value))
        if found is None:
            # The row has its number before its contents, which may refer to it.
            found = self._written[id(value)] = (len(self.rows), value)
            self.rows.append(("", None))
            self.rows[found[0]] = self._row(value)
        return [found[0]]

    def _row(self, value: Any) -> tuple[int | str, Any]:
        kind: Any = type(value)
        form = _FORMS.get(kind)
        if form is not None:
            name, contents = form
            return name, contents(self, value)
        if not _is_ours(kind):
            raise NotMovable(f"{value!r} can't stand in a snapshot")
        if issubclass(kind, Enum):
            return "member", [kind.__name__, value.name]
        fields = fields_of(value)
        known = self.classes.setdefault(kind, (len(self.classes), kind.__name__, fields))
        if known[2] != fields:
            raise NotMovable(f"{kind.__name__} has other fields than another object of it: {fields}")
        return known[0], [self.write(getattr(value, name)) for name in fields]

    def all_of(self, values: Iterable[Any]) -> list[Any]:
        """Return what is written for each of these."""
        return [self.write(each) for each in values]

    def method(self, value: Any) -> list[Any]:
        """Return what is written for a bound method."""
        return [self.write(value.__self__), value.__name__]


_FORMS: Mapping[type, tuple[str, Callable[[_Writer, Any], Any]]] = {
    list: ("list", _Writer.all_of),
    tuple: ("tuple", _Writer.all_of),
    set: ("set", _Writer.all_of),
    frozenset: ("frozenset", _Writer.all_of),
    deque: ("deque", lambda writer, value: [value.maxlen, writer.all_of(value)]),
    dict: ("dict", lambda writer, value: [[writer.write(key), writer.write(each)] for key, each in value.items()]),
    bytearray: ("bytearray", lambda _, value: bytes(value)),
    np.ndarray: ("array", lambda _, value: [value.dtype.str, value.shape, value.tobytes()]),
    datetime: ("datetime", lambda _, value: value.isoformat()),
    timedelta: ("timedelta", lambda _, value: [value.days, value.seconds, value.microseconds]),
    # The class of a path has other names in other versions of Python.
    PosixPath: ("path", lambda _, value: str(value)),
    MethodType: ("method", _Writer.method),
    BuiltinMethodType: ("method", _Writer.method),
    webrtcvad.Vad: ("vad", lambda _, __: None),
    Network: ("network", lambda _, __: None),
    FileThread: ("files", lambda _, __: None),
    InlineFileWork: ("files", lambda _, __: None),
}


def _kind(name: str) -> Any:
    """Return the class of this name.  Raises NotMovable."""
    kind = kinds().get(name)
    if kind is None:
        raise NotMovable(f"{name} is no part of a call's state")
    return kind


class _Reader:
    """The reader of one snapshot."""

    def __init__(self, table: _Table, shared: Shared) -> None:
        self._table, self._shared = table, shared
        self._restored: list[Any] = [_ABSENT] * len(table.rows)
        #: The objects that constructors have made and that are those of a row already.
        self._filled: set[int] = set()

    def read(self, value: Any, present: Any = None) -> Any:
        """Return the restored value; `present` is what the constructor of its owner has put in its place."""
        if type(value) is not list:
            return value
        (number,) = value
        if self._restored[number] is _ABSENT:
            form, contents = self._table.rows[number]
            if isinstance(form, int):
                self._object(number, *self._table.classes[form], contents, present)
            elif (container := _CONTAINERS.get(form)) is not None:
                self._container(number, container, contents, present)
            else:
                self._restored[number] = _VALUES[form](self, contents, present)
        return self._restored[number]

    def _object(self, number: int, name: str, names: Sequence[str], contents: Sequence[Any], present: Any) -> None:
        kind = _kind(name)
        fields = dict(zip(names, contents, strict=True))
        if not is_frozen(kind) and type(present) is kind and id(present) not in self._filled:
            restored = present
        else:
            restored = self._made(kind, fields)
        self._restored[number] = restored
        self._filled.add(id(restored))
        for field in fields_of(restored):
            if field in fields:
                present = getattr(restored, field)
                value = self.read(fields[field], present)
                if value is not present:
                    # Also where the class is frozen, and the field no parameter of its constructor.
                    object.__setattr__(restored, field, value)

    def _made(self, kind: Any, fields: Mapping[str, Any]) -> Any:
        """Return an object made by its constructor, which gets the fields that are named as its parameters.  Raises NotMovable."""
        arguments = {}
        for name, is_required in constructor(kind):
            field = name if name in fields else f"_{name}"
            if field in fields:
                arguments[name] = self.read(fields[field])
            elif kind is Conversation and name == "confirm":
                arguments[name] = Silero(self._shared.network).detector() if self._shared.network else None
            elif is_required:
                raise NotMovable(f"{kind.__name__} lacks {name}")
        return kind(**arguments)

    def _container(self, number: int, kind: Callable[[], Any], contents: Any, present: Any) -> None:
        """Restore a container: the present one, since others may be wired to it, or a new one."""
        is_same = type(present) is kind and id(present) not in self._filled
        container = present if is_same else kind()
        self._restored[number] = container
        self._filled.add(id(container))
        container.clear()
        if kind is dict:
            container.update((self.read(key), self.read(value)) for key, value in contents)
        elif kind is set:
            container.update(self.read(each) for each in contents)
        else:
            container.extend(contents if kind is bytearray else [self.read(each) for each in contents])

    def all_of(self, contents: Iterable[Any]) -> list[Any]:
        """Return the restored values."""
        return [self.read(each) for each in contents]

    def method(self, contents: Sequence[Any], present: Any) -> Any:
        """Return a bound method of the restored object.  Raises NotMovable."""
        owner, name = contents
        was_wired = isinstance(present, (MethodType, BuiltinMethodType)) and present.__name__ == name
        method = getattr(self.read(owner, present.__self__ if was_wired else None), name)
        if not callable(method):
            raise NotMovable(f"{name} is no method")
        return method

    def network(self) -> Network:
        """Return this process's network.  Raises NotMovable if it has none."""
        if self._shared.network is None:
            raise NotMovable("the second detector is not loaded here (vad_confirm)")
        return self._shared.network

    def files(self) -> FileWork:
        """Return what writes this process's files."""
        return self._shared.files


_CONTAINERS: Mapping[str, Callable[[], Any]] = {"list": list, "dict": dict, "set": set, "bytearray": bytearray}
_VALUES: Mapping[str, Callable[[_Reader, Any, Any], Any]] = {
    "tuple": lambda reader, contents, _: tuple(reader.all_of(contents)),
    "frozenset": lambda reader, contents, _: frozenset(reader.all_of(contents)),
    "deque": lambda reader, contents, _: deque(reader.all_of(contents[1]), contents[0]),
    "array": lambda _, contents, __: np.frombuffer(contents[2], contents[0]).reshape(contents[1]).copy(),
    "datetime": lambda _, contents, __: datetime.fromisoformat(contents),
    "timedelta": lambda _, contents, __: timedelta(*contents),
    "path": lambda _, contents, __: Path(contents),
    "member": lambda _, contents, __: _kind(contents[0])[contents[1]],
    "method": _Reader.method,
    "vad": lambda _, __, ___: webrtcvad.Vad(2),
    "network": lambda reader, _, __: reader.network(),
    "files": lambda reader, _, __: reader.files(),
}
