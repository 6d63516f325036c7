"""The serialization of a call's state: objects of this plane with everything they refer to, each once.

The format is a restricted pickle.  An object of this plane is its class and its attributes, whether the core is compiled or
interpreted.  A bound method is its object and its name.  The reader creates instances of this plane's classes only, and of the
few others that `_LIBRARY` names.  The data comes from a process of the same user, through a socket that only this user can open
(`media/handover/channel.py`), so the restriction is no defence against an attacker; it reveals mistakes at once.

Resources that all calls of a process share (the detector's network, the thread that writes files) are not serialized, but
replaced by the reader's own.  State that can't be read out is lost: webrtcvad's noise model starts afresh, as in a new call.
"""

import pickle
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from enum import Enum
from functools import cache
from inspect import signature
from io import BytesIO
from pathlib import PosixPath
from types import BuiltinMethodType, MethodType
from typing import Any

import msgspec
import numpy as np
import webrtcvad

from hum.peaks import Peaks
from media.core.backlog import Backlog
from media.core.carrierclock import CarrierClock
from media.core.conversation import Conversation
from media.core.heardposition import Item
from media.core.modelmessages import TurnModel
from media.core.plans import (
    AgentPlan,
    CallPlan,
    DurationLimits,
    MailboxPlan,
    ModelPatience,
    PauseRules,
    RecordingPlan,
    Silences,
    TurnTaking,
)
from media.io.filework import FileThread, FileWork, InlineFileWork
from media.io.silero import Network

#: Raise by 1 with every change of the moved state or its meaning (tests/media/handover/test_shape.py fails first).
VERSION = 21
NETWORK, FILES = "network", "files"
_MODULE = __name__
_LIBRARY: Mapping[str, Any] = {
    "collections.deque": deque,
    "datetime.datetime": datetime,
    "datetime.timedelta": timedelta,
    "datetime.timezone": timezone,
    "hum.peaks.Peaks": Peaks,
}


class NotMovable(Exception):  # noqa: N818 - it says what is wrong
    """The state refers to an object that can't be serialized, or can't be read here."""


def pack(state: object) -> bytes:
    """Serialize a state.  Raises NotMovable."""
    file = BytesIO()
    try:
        _Writer(file, pickle.HIGHEST_PROTOCOL).dump(state)
    except (pickle.PicklingError, AttributeError, TypeError, ValueError) as error:
        raise NotMovable(str(error)) from error
    return file.getvalue()


def unpack(data: bytes, network: Network | None, files: FileWork) -> Any:
    """Return the state that was packed, with this process's shared resources in it.  Raises NotMovable."""
    try:
        return _Reader(data, network, files).load()
    except (pickle.UnpicklingError, AttributeError, TypeError, ValueError, EOFError, ImportError, IndexError) as error:
        raise NotMovable(str(error)) from error


class _Writer(pickle.Pickler):
    def persistent_id(self, obj: object) -> str | None:
        if type(obj) is Network:
            return NETWORK
        return FILES if type(obj) in (FileThread, InlineFileWork) else None

    def reducer_override(self, obj: object) -> Any:
        kind: Any = type(obj)
        if kind is MethodType or kind is BuiltinMethodType:
            owner = obj.__self__  # type: ignore[attr-defined]
            if type(owner) is list or _is_ours(type(owner)):
                return method, (owner, obj.__name__)  # type: ignore[attr-defined]
            raise pickle.PicklingError(f"{obj!r} can't be serialized")
        if kind is np.ndarray:
            array: np.ndarray[Any, Any] = obj  # type: ignore[assignment]
            return numbers, (array.dtype.str, array.shape, array.tobytes())
        if kind is webrtcvad.Vad:
            return webrtc, ()
        # The module of this class has another name in each version of Python.
        if kind is PosixPath:
            return path, (str(obj),)
        if not _is_ours(kind) or issubclass(kind, (Enum, msgspec.Struct)):
            return NotImplemented
        return bare, (kind,), _attributes(obj), None, None, fill


class _Reader(pickle.Unpickler):
    def __init__(self, data: bytes, network: Network | None, files: FileWork) -> None:
        super().__init__(BytesIO(data))
        self._network, self._files = network, files

    def persistent_load(self, pid: Any) -> Network | FileWork:
        if pid == FILES:
            return self._files
        if pid != NETWORK or self._network is None:
            raise pickle.UnpicklingError("the second detector is not loaded here (vad_confirm)")
        return self._network

    def find_class(self, module: str, name: str) -> Any:
        if module == _MODULE and name in _CONSTRUCTORS:
            return _CONSTRUCTORS[name]
        if (kind := _LIBRARY.get(f"{module}.{name}")) is not None:
            return kind
        if module.startswith("media."):
            kind = super().find_class(module, name)
            if isinstance(kind, type) and kind.__module__ == module:
                return kind
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a call's state")


def _is_ours(kind: type) -> bool:
    return kind is Peaks or kind.__module__.startswith("media.")


@cache
def _names(kind: type) -> tuple[str, ...]:
    """Return the names of a class's declared attributes, which for a compiled class are all of them."""
    names: tuple[str, ...] | None = getattr(kind, "__mypyc_attrs__", None)
    if names is None:
        names = tuple(
            name for base in kind.__mro__ for name in getattr(base, "__slots__", ()) if not name.startswith("__")
        )
    return names


def _attributes(obj: Any) -> dict[str, object]:
    declared = {name: getattr(obj, name) for name in _names(obj.__class__) if hasattr(obj, name)}
    return declared | getattr(obj, "__dict__", {})


# The constructors of the format.


def bare(kind: Any) -> object:
    """Return an object of this class without its attributes, which `fill` sets."""
    if not hasattr(kind, "__mypyc_attrs__"):
        return object.__new__(kind)
    # A compiled class's `__new__` also calls its constructor, if it has one, which then lacks its arguments.
    try:
        return kind.__new__(kind)
    except TypeError:
        spares, own = _spares(), f"{kind.__name__}.{{}}"
        return kind(**{name: spares.get(own.format(name), spares.get(name)) for name in _required(kind)})


def fill(obj: object, attributes: Mapping[str, object]) -> None:
    """Set an object's attributes, even if its class is frozen."""
    for name, value in attributes.items():
        object.__setattr__(obj, name, value)


def method(owner: object, name: str) -> Callable[..., Any]:
    """Return a bound method."""
    bound: Callable[..., Any] = getattr(owner, name)
    return bound


def numbers(kind: str, shape: tuple[int, ...], data: bytes) -> "np.ndarray[Any, Any]":
    """Return a writable array."""
    return np.frombuffer(data, kind).reshape(shape).copy()


def path(name: str) -> PosixPath:
    """Return a path."""
    return PosixPath(name)


def webrtc() -> webrtcvad.Vad:
    """Return a detector with a fresh noise model."""
    return webrtcvad.Vad(2)


_CONSTRUCTORS: Mapping[str, Any] = {make.__name__: make for make in (bare, fill, method, numbers, path, webrtc)}


@cache
def _required(kind: type) -> tuple[str, ...]:
    parameters = signature(kind).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.default is parameter.empty)


@cache
def _spares() -> Mapping[str, object]:
    """Return arguments of the right types for the constructors of compiled classes, by parameter name.

    A compiled class can't be instantiated without its constructor; `fill` then replaces the attributes that it sets.
    """
    turns, silences, patience = (
        TurnTaking(True, True, 0, 0, 0, 0, 0, 0),
        Silences(0, 0, (0,)),
        ModelPatience(0, 0, 0, 0, 0, 0, 0),
    )
    agent, recording = AgentPlan("", TurnModel("", "", "")), RecordingPlan(False, False, False, PauseRules())
    whole = Conversation(CallPlan(agent, turns, silences, recording, patience, DurationLimits(0, 0), 0, {}))
    voice, model = whole._voice, whole._model  # noqa: SLF001 - the same state
    replies = model.replies
    return {
        "plan": whole.plan,
        "agent": agent,
        "turns": turns,
        "patience": patience,
        "Mailbox.plan": MailboxPlan(0, 0, 0),
        "rules": PauseRules(),
        "clock": CarrierClock(0.0),
        "session": model.session,
        "voice": voice,
        "model": model,
        "transcript": voice.transcript,
        "latency": voice.latency,
        "turn_gate": replies.turn_gate,
        "replies": replies,
        "responses": replies.responses,
        "recording_pauses": model.tools.recording_pauses,
        "emit": [].append,
        "confirm": lambda _, __: 0.0,
        "history": Backlog(),
        "played": voice.playout,
        "payload": b"",
        "item": Item(""),
        "actions": [],
        "phrases": (),
        "wanted": False,
        **dict.fromkeys(("seq", "start", "size", "end", "silence_ms", "longest_ms", "least_ms"), 0),
        **dict.fromkeys(("patience_ms", "every_ms", "session_ms", "answer_ms"), 0),
        **dict.fromkeys(("false_hear_ms", "open_turn_ms", "unaware_ms", "at_ms"), 0.0),
        **dict.fromkeys(("soonest_ms", "plays_ms", "ready_ms", "level_db"), 0.0),
    }
