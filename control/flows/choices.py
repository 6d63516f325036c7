"""The voices, models and countries that a flow may name: settings, since each model endpoint has its own."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hum import cascadefile, cascades
from hum.cascades import Cascades
from hum.contract.errors import FieldError
from hum.observe.logs import log
from hum.settings import CallsSettings
from hum.v1 import flows_pb2 as pb

LOG = log(__name__)


@dataclass(frozen=True, slots=True)
class Choices:
    """The voices and models that the deployment offers; the first of each is the default.

    `live_models`: those that decide by themselves when they speak.

    `cascades`: those that models name; of which each may speak some languages alone.

    `countries`: those that calls may be transferred to besides the called number's own.
    """

    voices: tuple[str, ...]
    models: tuple[str, ...]
    live_models: tuple[str, ...] = ()
    countries: frozenset[str] = frozenset()
    cascades: Cascades = field(default_factory=dict)

    @classmethod
    def of(cls, settings: CallsSettings) -> "Choices":
        live, chains = settings.live_model_names, cascadefile.require(settings.cascades_file)
        models = (*settings.realtime_model_names, *live, *cascades.models(chains))
        return cls(settings.voice_names, models, live, settings.countries, chains)

    def problems(self, flow: pb.Flow, before: pb.Flow) -> Iterator[FieldError]:
        """Yield errors in the voice and the model, if they changed."""
        if flow.voice != before.voice and flow.voice and flow.voice not in self.voices:
            yield FieldError("flow.voice", _must_be(self.voices))
        if flow.model != before.model and flow.model and flow.model not in self.models:
            yield FieldError("flow.model", _must_be(self.models))
        if (flow.model, flow.language) != (before.model, before.language):
            yield from self._voiceless(flow)
        if flow.model in self.live_models and _forbids_interruption(flow.turn_config_json):
            yield FieldError(
                "flow.turn_config_json", f"{flow.model} can always be interrupted: it decides that by itself"
            )

    def _voiceless(self, flow: pb.Flow) -> Iterator[FieldError]:
        cascade = self.cascades.get(cascades.name_of(flow.model) or "")
        if cascade is not None and not cascade.speaks(flow.language):
            choices = ", ".join(cascade.languages)
            reason = f"{flow.model} has no voice for it; must be one of {choices}"
            yield FieldError("flow.language", reason)

    def voice(self, definition: Mapping[str, Any]) -> str:
        """Return the voice of a stored flow."""
        return _chosen("voice", self.voices, definition)

    def model(self, definition: Mapping[str, Any]) -> str:
        """Return the realtime model of a stored flow.

        A cascade that is no longer offered stays: its server refuses the call, whose record says so. Another model would get what
        the flow's author may have meant for servers of their own alone.
        """
        stored = str(definition.get("model", ""))
        return stored if cascades.name_of(stored) is not None else _chosen("model", self.models, definition)


def _chosen(field: str, choices: tuple[str, ...], definition: Mapping[str, Any]) -> str:
    value = str(definition.get(field) or choices[0])
    if value in choices:
        return value
    LOG.warning("ignored a stored value that is no longer offered", field=field, value=value[:100])
    return choices[0]


def _forbids_interruption(turn_config_json: str) -> bool:
    try:
        config = json.loads(turn_config_json or "{}")
    except ValueError:
        return False  # refused elsewhere
    return isinstance(config, dict) and config.get("interruptible") is False


def _must_be(choices: Sequence[str]) -> str:
    return f"must be one of {', '.join(dict.fromkeys(choices))}"
