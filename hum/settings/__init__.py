"""The settings.  Only this package reads the environment.

Each program has one frozen class. A field is a setting, with a variable and a line in docs/settings.md, or a constant of
several modules, or of one that tests change, without either.  An invalid value or an unknown `HUM_*` variable stops the
process with a message that says what to do.
"""

import difflib
import os
from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from hum.refusal import refuse
from hum.settings.base import CarrierSettings, Common, ModelSettings, UploadSettings, constant, environment, secret
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
from hum.settings.overrides import OVERRIDES, Malformed
from hum.settings.overrides import parse as parse_overrides
from hum.settings.recordings import RecordingSettings
from hum.settings.secretfiles import VARIABLE, UnreadableSecret, read_secrets
from hum.settings.voice import VoiceSettings

SettingsT = TypeVar("SettingsT", bound=Common)
_TRUE = frozenset({"1", "true", "yes", "on", "t", "y"})

__all__ = [
    "BillingSettings",
    "CallsSettings",
    "CarrierSettings",
    "Common",
    "ControlSettings",
    "DatabaseSettings",
    "EgressSettings",
    "GatewaySettings",
    "IdentitySettings",
    "ImportSettings",
    "InboundTextSettings",
    "MediaSettings",
    "ModelSettings",
    "NumbersSettings",
    "PublicSocketSettings",
    "RecordingSettings",
    "RequestSettings",
    "UpSettings",
    "UploadSettings",
    "VoiceSettings",
    "WorkerSettings",
    "constants",
    "environment",
    "keep_only",
    "load",
    "media_interpreted",
    "notify_socket",
    "read",
    "secret",
    "unknown",
    "variables",
]


class UpSettings(ControlSettings, GatewaySettings, MediaSettings, VoiceSettings):
    """All settings, for `hum up`, `hum call` and the like; it distinguishes set variables from defaults."""

    doctor_seconds: float = constant(10.0, "seconds that `hum doctor` waits for an answer", gt=0)

    def is_set(self, variable: str) -> bool:
        """Tell whether the operator set the variable to a non-empty string."""
        return bool(os.environ.get(variable) or read_secrets(self.secrets_dir).get(variable))


def variables() -> Mapping[str, FieldInfo]:
    """Return every variable and its field, for the check for unknown names and for the documentation."""
    return {str(field.validation_alias): field for field in UpSettings.model_fields.values() if field.validation_alias}


def constants() -> Mapping[str, FieldInfo]:
    """Return every constant by its name, for HUM_OVERRIDES."""
    return {name: field for name, field in UpSettings.model_fields.items() if not field.validation_alias}


def unknown(names: Iterable[str]) -> list[str]:
    """Return messages about unknown `HUM_*` names."""
    known_variables = variables()
    strange = (name for name in sorted(names) if name.startswith("HUM_") and name not in known_variables)
    return [_unknown(name, "a setting", known_variables) for name in strange]


def load(kind: type[SettingsT]) -> SettingsT:
    """Read the environment; invalid settings end the process with messages and status 2."""
    settings, sentences = read(kind)
    if settings is None or sentences:
        refuse(*sentences)
    return settings


def read(kind: type[SettingsT]) -> tuple[SettingsT | None, list[str]]:
    """Return the settings, or None if they can't be read; and messages about all errors."""
    try:
        stored_values = read_secrets(os.environ.get(VARIABLE))
        overrides = parse_overrides(os.environ.get(OVERRIDES) or stored_values.get(OVERRIDES, ""))
    except (UnreadableSecret, Malformed) as error:
        return None, [str(error)]
    strange = [_no_constant(name) for name in overrides if name not in constants()]
    sentences = unknown({*os.environ, *stored_values}) + [f"{OVERRIDES}: {sentence}" for sentence in strange]
    try:
        return kind(), sentences
    except ValidationError as error:
        messages = [_sentence(detail["loc"], detail["msg"].removeprefix("Value error, ")) for detail in error.errors()]
        return None, sentences + messages


def keep_only(names: Collection[str]) -> None:
    """Remove all other settings from this process's environment, and so from that of the programs that it starts.

    A kept one that is in HUM_SECRETS_DIR moves to the environment.  Raises UnreadableSecret.
    """
    stored_values = read_secrets(os.environ.get(VARIABLE))
    for name in variables():
        if name not in names:
            os.environ.pop(name, None)
        elif name in stored_values:
            os.environ.setdefault(name, stored_values[name])


def media_interpreted() -> bool:
    """Return HUM_MEDIA_INTERPRETED, which decides how modules are imported, before settings are read."""
    return os.environ.get("HUM_MEDIA_INTERPRETED", "").lower() in _TRUE


def notify_socket() -> str:
    """Return where systemd waits to be told that the process serves, empty without it: its protocol, not a setting."""
    return os.environ.get("NOTIFY_SOCKET", "")


def _no_constant(name: str) -> str:
    setting = UpSettings.model_fields.get(name)
    return (
        f"{name} is a setting; set {setting.validation_alias}" if setting else _unknown(name, "a constant", constants())
    )


def _unknown(name: str, kind: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{name} is not {kind}; " + (f"did you mean {near[0]}?" if near else "remove it")


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    name = str(location[0]) if location else "the settings"
    field = {**variables(), **constants()}.get(name)
    meaning = f" ({field.description})" if field and field.description else ""
    return f"{f'{OVERRIDES}: ' if name in constants() else ''}{name}{meaning}: {message}"
