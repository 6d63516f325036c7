"""The settings.  Only this package reads the environment.

Each program has one frozen class; each field has its variable's name and description.  An invalid value or an unknown
`HUM_*` variable stops the process with a message that says what to do.
"""

import difflib
import os
from collections.abc import Iterator, Mapping
from typing import TypeVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from hum.process.refusal import refuse
from hum.settings.base import Carrier, Common, Model, UploadSettings, environment, setting
from hum.settings.billing import BillingSettings
from hum.settings.control import (
    CallsSettings,
    ControlSettings,
    EgressSettings,
    IdentitySettings,
    ImportSettings,
    InboundTextSettings,
    NumbersSettings,
    RequestSettings,
    WorkerSettings,
)
from hum.settings.database import DatabaseSettings
from hum.settings.gateway import GatewaySettings, PublicSocketSettings
from hum.settings.media import MediaSettings
from hum.settings.recordings import RecordingSettings
from hum.settings.secretfiles import VARIABLE, Unreadable, stored

SettingsT = TypeVar("SettingsT", bound=Common)
_TRUE = frozenset({"1", "true", "yes", "on", "t", "y"})

__all__ = [
    "BillingSettings",
    "CallsSettings",
    "Carrier",
    "Common",
    "ControlSettings",
    "DatabaseSettings",
    "EgressSettings",
    "GatewaySettings",
    "IdentitySettings",
    "ImportSettings",
    "InboundTextSettings",
    "MediaSettings",
    "Model",
    "NumbersSettings",
    "PublicSocketSettings",
    "RecordingSettings",
    "RequestSettings",
    "UpSettings",
    "UploadSettings",
    "WorkerSettings",
    "environment",
    "load",
    "media_huge_pages",
    "media_interpreted",
    "read",
    "unknown",
    "variables",
]


class UpSettings(ControlSettings, GatewaySettings, MediaSettings):
    """All settings, for `hum up`, `hum call` and the like; it distinguishes set variables from defaults."""

    doctor_seconds: float = setting("HUM_DOCTOR_SECONDS", 10.0, "seconds that `hum doctor` waits for an answer", gt=0)

    def is_set(self, variable: str) -> bool:
        """Tell whether the operator set the variable to a non-empty string."""
        return bool(os.environ.get(variable) or stored(self.secrets_dir).get(variable))


def variables() -> Mapping[str, FieldInfo]:
    """Return every variable and its field, for the check for unknown names and for the documentation."""
    return {str(field.validation_alias): field for field in UpSettings.model_fields.values() if field.validation_alias}


def unknown(names: Iterator[str]) -> list[str]:
    """Return messages about unknown `HUM_*` names."""
    known_variables, sentences = variables(), []
    for name in sorted(names):
        if name.startswith("HUM_") and name not in known_variables:
            near = difflib.get_close_matches(name, known_variables, n=1)
            sentences.append(f"{name} is not a setting; " + (f"did you mean {near[0]}?" if near else "remove it"))
    return sentences


def load(kind: type[SettingsT]) -> SettingsT:
    """Read the environment; invalid settings end the process with messages and status 2."""
    settings, sentences = read(kind)
    if settings is None or sentences:
        refuse(*sentences)
    return settings


def read(kind: type[SettingsT]) -> tuple[SettingsT | None, list[str]]:
    """Return the settings, or None if they can't be read; and messages about all errors."""
    try:
        sentences = unknown(iter({*os.environ, *stored(os.environ.get(VARIABLE))}))
    except Unreadable as error:
        return None, [str(error)]
    try:
        return kind(), sentences
    except ValidationError as error:
        messages = [_sentence(detail["loc"], detail["msg"].removeprefix("Value error, ")) for detail in error.errors()]
        return None, sentences + messages


def media_interpreted() -> bool:
    """Return HUM_MEDIA_INTERPRETED, which decides how modules are imported, before settings are read."""
    return os.environ.get("HUM_MEDIA_INTERPRETED", "").lower() in _TRUE


def media_huge_pages() -> bool:
    """Return HUM_MEDIA_HUGE_PAGES, which applies before settings are read; an invalid value is refused when they are."""
    return os.environ.get("HUM_MEDIA_HUGE_PAGES", "").lower() in {"", *_TRUE}


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    name = str(location[0]) if location else "the settings"
    field = variables().get(name)
    meaning = f" ({field.description})" if field and field.description else ""
    return f"{name}{meaning}: {message}"
