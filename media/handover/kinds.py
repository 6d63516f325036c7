"""The classes whose objects move with a call, by name, and their fields."""

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from importlib import import_module
from inspect import Parameter, signature
from pkgutil import iter_modules
from typing import Any, NamedTuple

import media.core

#: Beside the modules of the core.
_OTHERS = (
    "hum.peaks",
    "media.callstate",
    "media.handover.movedcall",
    "media.io.silero",
    "media.recorder",
    "media.reports",
)


class ConstructorParameter(NamedTuple):
    """A parameter of a class's constructor."""

    name: str
    is_required: bool


@cache
def kinds() -> Mapping[str, Any]:
    """Return the classes by name; names are unique, so that a class may move from one module to another."""
    found: dict[str, type] = {}
    for module in (*(f"media.core.{each.name}" for each in iter_modules(media.core.__path__)), *_OTHERS):
        for name, kind in vars(import_module(module)).items():
            if not isinstance(kind, type) or kind.__module__ != module:
                continue
            if found.setdefault(name, kind) is not kind:
                raise AssertionError(f"two classes that move with calls are named {name}")
    return found


def fields_of(obj: object) -> list[str]:
    """Return the names of an object's fields, whether its class is compiled or interpreted."""
    kind: Any = type(obj)
    return [name for name in _declared(kind) if hasattr(obj, name)] + list(getattr(obj, "__dict__", ()))


@cache
def constructor(kind: Any) -> tuple[ConstructorParameter, ...]:
    """Return the parameters of a class's constructor."""
    parameters = signature(kind).parameters.values()
    return tuple(ConstructorParameter(each.name, each.default is Parameter.empty) for each in parameters)


@cache
def is_frozen(kind: Any) -> bool:
    """Whether objects of a class never change."""
    if is_dataclass(kind):
        return bool(vars(kind)["__dataclass_params__"].frozen)
    return hasattr(kind, "__struct_config__")


@cache
def _declared(kind: Any) -> tuple[str, ...]:
    names: Sequence[str] | None = getattr(kind, "__mypyc_attrs__", None) or getattr(kind, "__struct_fields__", None)
    if names is None:
        names = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ()) if not name.startswith("__")]
    return tuple(names)
